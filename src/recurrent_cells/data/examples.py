"""The examples that a data config names, checked, with a digest."""

import hashlib
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from recurrent_cells.config.schema import DataConfig
from recurrent_cells.data.sources import Part, Source
from recurrent_cells.errors import UserError
from recurrent_cells.tables import SOURCES


@dataclass(frozen=True)
class Examples:
    """What a source has, in memory.

    Args:
        test: None for a source without test files.
        num_classes: C of targets in 0 … C - 1; None where targets are numbers.
    """

    train: Part
    test: Part | None
    num_classes: int | None
    digest: str


def load_examples(data: DataConfig) -> Examples:
    """The examples that a data config names; read once per process.

    Raises:
        UserError: if files are missing, damaged, contradict each other, or cannot be downloaded.
    """
    return _load(data.name, data.root, data.download, data.num_classes)


@lru_cache(maxsize=4)
def _load(name: str, root: str | None, download: bool | None, num_classes: int | None) -> Examples:
    source: Source = SOURCES[name]()
    parts = [_checked(part) for part in source.load(DataConfig(name=name, root=root, download=download))]
    train, test = parts[0], parts[1] if len(parts) > 1 else None
    if test is not None and (_kind(test), test.values.shape[1:]) != (_kind(train), train.values.shape[1:]):
        raise UserError(f"{test.place}: other types or sizes than in {train.place}")
    classes = None
    if train.targets.dtype.kind in "iu":
        classes = num_classes or max(int(train.targets.max()) + 1, 2)
    digest = hashlib.sha256()
    for part in parts:
        if classes is not None:
            _check_classes(part, classes, num_classes is not None)
        for array in (part.values, part.targets, *([] if part.lengths is None else [part.lengths])):
            digest.update(repr(array.shape).encode())
            digest.update(np.ascontiguousarray(array).data)
    return Examples(train, test, classes, digest.hexdigest()[:16])


def _kind(part: Part) -> tuple[np.dtype, str]:
    return part.values.dtype, part.targets.dtype.kind


def _checked(part: Part) -> Part:
    """A part with numbers as float32; raises UserError if its arrays are no examples."""
    if part.values.ndim != 3 or part.targets.shape != part.values.shape[:1] or len(part.targets) == 0:
        raise UserError(
            f"{part.place}: values {part.values.shape} and targets {part.targets.shape}; "
            "allowed are (N, H, W) or (N, T, F), and (N,)"
        )
    values, targets = part.values, part.targets
    if values.dtype != np.uint8:
        values = values.astype(np.float32)
    if targets.dtype.kind not in "iu":
        targets = targets.astype(np.float32)
    if not (np.isfinite(values).all() and np.isfinite(targets).all()):
        raise UserError(f"{part.place}: there are values or targets that are not finite")
    return replace(part, values=values, targets=targets)


def _check_classes(part: Part, num_classes: int, given: bool) -> None:
    lowest, highest = int(part.targets.min()), int(part.targets.max())
    if lowest < 0:
        raise UserError(f"{part.place}: the label {lowest} is below 0; classes are numbered from 0")
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
