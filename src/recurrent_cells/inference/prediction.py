"""The answers of a trained network to files of images or of series."""

import io
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from recurrent_cells.errors import UserError
from recurrent_cells.inference.answers import Answered, answer, ask
from recurrent_cells.inference.files import STANDARD_INPUT, SUFFIXES, files_in
from recurrent_cells.inference.images import Prepared, prepare, read_grey
from recurrent_cells.inference.series import padded
from recurrent_cells.inference.series_files import SERIES_SUFFIXES, read_series
from recurrent_cells.inference.trained import Trained

MOST_BYTES_OF_INPUT = 1 << 28
BATCH = 100


@dataclass(frozen=True)
class Prediction:
    """The answer of a network to what a file has.

    Args:
        image: that was made of the file; None where it has series.
        series: what one of several series of a file is called; None where it has no other.
    """

    file: str
    answer: Answered
    image: Prepared | None = None
    series: str | None = None


@dataclass(frozen=True)
class Fault:
    """A file that could not be read."""

    file: str
    reason: str


def predict_files(trained: Trained, files: Sequence[str]) -> Iterator[Prediction | Fault]:
    """The answer to each image or series among files and folders, in their order, or the fault where there is none."""
    return _of_images(trained, files) if trained.network.is_image else _of_series(trained, files)


def _of_images(trained: Trained, files: Sequence[str]) -> Iterator[Prediction | Fault]:
    read = (_prepared(it, trained.size) if isinstance(it, str) else it for it in _within(files, "images", SUFFIXES))
    while batch := list(islice(read, BATCH)):
        images = [item[1].pixels for item in batch if not isinstance(item, Fault)]
        found = iter(ask(trained, np.stack(images)) if images else ())
        for item in batch:
            yield item if isinstance(item, Fault) else Prediction(item[0], answer(trained, next(found)), item[1])


def _prepared(name: str, size: tuple[int, int]) -> tuple[str, Prepared] | Fault:
    try:
        if name == STANDARD_INPUT:
            return name, prepare(read_grey(io.BytesIO(_content(name))), size)
        _check_file(name)
        with Path(name).open("rb") as file:
            return name, prepare(read_grey(file), size)
    except (UserError, MemoryError, OSError) as error:
        return _fault(name, error)


def _of_series(trained: Trained, files: Sequence[str]) -> Iterator[Prediction | Fault]:
    for name in _within(files, "series", SERIES_SUFFIXES):
        if isinstance(name, Fault):
            yield name
            continue
        try:
            series, names = read_series(_content(name), trained)
            values = padded(series, trained)
        except (UserError, MemoryError, OSError) as error:
            yield _fault(name, error)
            continue
        for start in range(0, len(values), BATCH):
            for place, found in enumerate(ask(trained, values[start : start + BATCH]), start=start):
                yield Prediction(name, answer(trained, found), series=names[place] if len(names) > 1 else None)


def _within(files: Iterable[str], kind: str, suffixes: Sequence[str]) -> Iterator[str | Fault]:
    """Files, in the place of folders those in them."""
    for name in files:
        if not Path(name).is_dir():
            yield name
        elif found := files_in(name, suffixes):
            yield from found
        else:
            yield Fault(name, f"a folder without {kind}; they end in {', '.join(suffixes)}")


def _content(name: str) -> bytes:
    """All bytes of a file or of standard input."""
    if name == STANDARD_INPUT:
        content = sys.stdin.buffer.read(MOST_BYTES_OF_INPUT + 1)
    else:
        _check_file(name)
        with Path(name).open("rb") as file:
            content = file.read(MOST_BYTES_OF_INPUT + 1)
    if len(content) > MOST_BYTES_OF_INPUT:
        raise UserError(f"more than {MOST_BYTES_OF_INPUT >> 20} MiB")
    return content


def _check_file(name: str) -> None:
    if not Path(name).is_file():  # a pipe or a device may never end
        raise UserError("not a file")


def _fault(name: str, error: Exception) -> Fault:
    if isinstance(error, MemoryError):
        return Fault(name, "too large for the memory there is")
    return Fault(name, f"cannot be read ({error.strerror})" if isinstance(error, OSError) else str(error))
