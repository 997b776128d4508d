"""The images that a data config names, checked, with a digest."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from recurrent_cells.config.schema import DataConfig
from recurrent_cells.data.sources import Part, idx, mnist_5k, published
from recurrent_cells.errors import UserError

SOURCES: dict[str, Callable[[DataConfig], list[Part]]] = {
    "mnist_5k": mnist_5k,
    "mnist": published,
    "fashion_mnist": published,
    "kmnist": published,
    "idx": idx,
}


@dataclass(frozen=True)
class Images:
    """Grey images (N, H, W) and labels (N,) in 0 … num_classes - 1, as unsigned bytes.

    `test_images` and `test_labels` are None for a source without test files.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.uint8]
    test_images: NDArray[np.uint8] | None
    test_labels: NDArray[np.uint8] | None
    num_classes: int
    digest: str


def load_images(data: DataConfig) -> Images:
    """The images that a data config names; read once per process.

    Raises:
        UserError: if files are missing, damaged, contradict each other, or cannot be downloaded.
    """
    return _load(data.name, data.root, data.download, data.num_classes)


@lru_cache(maxsize=4)
def _load(name: str, root: str | None, download: bool | None, num_classes: int | None) -> Images:
    parts = SOURCES[name](DataConfig(name=name, root=root, download=download))
    classes = num_classes or max(int(parts[0].labels.max()) + 1, 2)
    digest = hashlib.sha256()
    for part in parts:
        _check_labels(part, classes, num_classes is not None)
        for array in (part.images, part.labels):
            digest.update(repr(array.shape).encode())
            digest.update(np.ascontiguousarray(array).data)
    test = parts[1] if len(parts) > 1 else None
    return Images(
        images=parts[0].images,
        labels=parts[0].labels,
        test_images=None if test is None else test.images,
        test_labels=None if test is None else test.labels,
        num_classes=classes,
        digest=digest.hexdigest()[:16],
    )


def _check_labels(part: Part, num_classes: int, given: bool) -> None:
    highest = int(part.labels.max())
    if highest < num_classes:
        return
    if given:
        raise UserError(
            f"data.num_classes={num_classes}: {part.place} has the label {highest}; "
            f"allowed is at least {highest + 1}, or null"
        )
    raise UserError(
        f"{part.place}: the label {highest} is outside the {num_classes} classes, 0 to {num_classes - 1}; "
        f"data.num_classes={highest + 1} takes it in"
    )
