"""The answers of a trained network to images and to image files."""

import io
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from recurrent_cells.errors import UserError
from recurrent_cells.inference.files import STANDARD_INPUT, SUFFIXES, images_in
from recurrent_cells.inference.images import Prepared, prepare, read_grey
from recurrent_cells.inference.trained import Trained

MOST_BYTES_OF_INPUT = 1 << 28
BATCH = 100


@dataclass(frozen=True)
class Answer:
    """The likeliest class and the next, each with its probability."""

    label: int
    probability: float
    runner_up: int
    runner_up_probability: float


@dataclass(frozen=True)
class Prediction:
    """The answer of a network to a file, and the image that was made of the file."""

    file: str
    image: Prepared
    answer: Answer


@dataclass(frozen=True)
class Fault:
    """A file that could not be read as an image."""

    file: str
    reason: str


def probabilities(trained: Trained, images: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Images (N, H, W) → the probability of each class (N, C)."""
    result: NDArray[np.float64] = trained.logits(images).double().softmax(dim=-1).numpy()
    return result


def answer(likely: NDArray[np.float64]) -> Answer:
    """The answer to an image by its probabilities (C,); of equal ones the first."""
    first, second = np.argsort(-likely, kind="stable")[:2]
    return Answer(int(first), float(likely[first]), int(second), float(likely[second]))


def predict_files(trained: Trained, files: Sequence[str]) -> Iterator[Prediction | Fault]:
    """The answer to each image among files and folders, in their order, or the fault where a file is no image."""
    read = _read(files, trained.image_size)
    while batch := list(islice(read, BATCH)):
        images = [item[1].pixels for item in batch if not isinstance(item, Fault)]
        likely = iter(probabilities(trained, np.stack(images)) if images else ())
        for item in batch:
            yield item if isinstance(item, Fault) else Prediction(*item, answer(next(likely)))


def _read(files: Iterable[str], size: tuple[int, int]) -> Iterator[tuple[str, Prepared] | Fault]:
    for name in files:
        images = images_in(name) if Path(name).is_dir() else [name]
        if not images:
            yield Fault(name, f"a folder without images; they end in {', '.join(SUFFIXES)}")
        for image in images:
            try:
                yield image, prepare(_open(image), size)
            except UserError as error:
                yield Fault(image, str(error))
            except MemoryError:
                yield Fault(image, "too large for the memory there is")
            except OSError as error:
                yield Fault(image, f"cannot be read ({error.strerror})")


def _open(name: str) -> NDArray[np.float32]:
    if name == STANDARD_INPUT:
        content = sys.stdin.buffer.read(MOST_BYTES_OF_INPUT + 1)
        if len(content) > MOST_BYTES_OF_INPUT:
            raise UserError(f"more than {MOST_BYTES_OF_INPUT >> 20} MiB")
        return read_grey(io.BytesIO(content))
    if not Path(name).is_file():  # a pipe or a device may never end
        raise UserError("not a file")
    with Path(name).open("rb") as file:
        return read_grey(file)
