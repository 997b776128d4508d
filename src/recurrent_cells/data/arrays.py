"""Arrays of numbers from anyone's files: nothing is unpickled, and memory is asked for before it is taken."""

import lzma
import math
import struct
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from recurrent_cells.errors import UserError, first_line
from recurrent_cells.memory import check_memory
from recurrent_cells.paths import kind, of_user

# What may be wrong with a file that is not what its name says.
DAMAGE = (
    ValueError,
    KeyError,
    EOFError,
    OverflowError,
    RuntimeError,
    NotImplementedError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
)
FLOAT_BYTES = 4
# Of an array: as it is read, and as the numbers that it becomes.
COPIES = 2


def existing_file(root: str, form: str) -> Path:
    """The file that `data.root` names; raises UserError if there is none, or nothing in it."""
    path = of_user(root)
    if (found := kind(path)) != "file":
        what = "is not a file" if found else "does not exist"
        raise UserError(f"data.root={root}: {what}; give {form}")
    if path.stat().st_size == 0:
        raise UserError(f"data.root={root}: the file is empty; give {form}")
    return path


def read_npz(path: Path) -> dict[str, NDArray[Any]]:
    """The arrays of an .npz file by their names; raises UserError as `arrays_of`."""
    try:
        with path.open("rb") as file:
            return arrays_of(file, str(path))
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error})") from None


def arrays_of(file: BinaryIO, place: str, most_bytes: int | None = None) -> dict[str, NDArray[Any]]:
    """The arrays of an open .npz file by their names.

    Raises:
        UserError: if it is damaged, holds Python objects or more than `most_bytes`, or needs more memory than there is.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            needed = COPIES * sum(_size(archive, member, place) for member in archive.namelist())
        if most_bytes is not None and needed > COPIES * most_bytes:
            raise UserError(f"{place}: arrays of {needed // COPIES:,} bytes; allowed are {most_bytes:,}")
        check_memory(needed, place, "give a smaller file")
        file.seek(0)
        with np.load(file, allow_pickle=False) as arrays:
            return dict(arrays)
    except (OSError, *DAMAGE) as error:  # OSError, as bz2 says it
        raise UserError(f"{place}: not an .npz file of numpy.savez, or damaged ({first_line(error, 100)})") from None


def read_npy(path: Path) -> NDArray[Any]:
    """The array of an .npy file; raises UserError as `read_npz`."""
    try:
        return np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error})") from None
    except DAMAGE as error:
        raise UserError(f"{path}: not an .npy file of numbers ({first_line(error, 100)})") from None


def _size(archive: zipfile.ZipFile, member: str, place: str) -> int:
    """Bytes of an array by its header; raises UserError for an array of Python objects."""
    with archive.open(member) as file:
        read_header = npy.read_array_header_1_0 if npy.read_magic(file) == (1, 0) else npy.read_array_header_2_0
        shape, _, dtype = read_header(file)
    if dtype.hasobject:
        raise UserError(
            f"{place}: {member.removesuffix('.npy')} holds Python objects, which are not read; "
            "give numbers, sequences of several lengths padded, with their lengths beside them"
        )
    return math.prod(shape) * dtype.itemsize


def as_numbers(array: NDArray[Any], place: str) -> NDArray[np.float32]:
    """Any numbers as float32, what is too large for these as infinite; raises UserError for what is no number."""
    if array.dtype.kind not in "buif":
        raise UserError(f"{place}: {array.dtype} is no type of numbers")
    with np.errstate(over="ignore"):
        return array.astype(np.float32, copy=False)


def in_words(shape: Sequence[int]) -> str:
    """`28 x 28`"""
    return " x ".join(map(str, shape))


def padded(sequences: Sequence[NDArray[np.float32]], place: str) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Sequences (T_n, F) side by side, zeros after each: (N, T, F), T that of the longest, and their lengths (N,)."""
    lengths = np.array([len(sequence) for sequence in sequences], dtype=np.int64)
    shape = (len(sequences), int(lengths.max()), sequences[0].shape[1])
    check_memory(math.prod(shape) * FLOAT_BYTES, f"{place}: {in_words(shape)} numbers", "give fewer")
    values = np.zeros(shape, dtype=np.float32)
    for row, sequence in zip(values, sequences, strict=True):
        row[: len(sequence)] = sequence
    return values, lengths


def valid_steps(lengths: NDArray[np.int64], num_steps: int) -> NDArray[np.bool_]:
    """Which steps are no padding, (N, T)."""
    return np.arange(num_steps) < lengths[:, None]


def filled(values: NDArray[np.float32], valid: NDArray[np.bool_], how: str) -> NDArray[np.float32]:
    """Series (N, T, F) with a number in the place of each NaN at a valid step (N, T).

    `zero`; `mean`: of the feature's other steps in the series; `last`: that before it, at the beginning the first
    there is. A feature that a series lacks altogether is zero.
    """
    missing = np.isnan(values) & valid[..., None]
    if how == "zero" or not missing.any():
        return np.where(missing, np.float32(0), values)
    known = valid[..., None] & ~missing
    if how == "mean":
        counts = known.sum(axis=1, keepdims=True)
        sums = np.where(known, values, 0).sum(axis=1, keepdims=True, dtype=np.float64)
        return np.where(missing, (sums / np.maximum(counts, 1)).astype(np.float32), values)
    steps = np.arange(values.shape[1])[:, None]
    first = np.where(known.any(axis=1, keepdims=True), known.argmax(axis=1, keepdims=True), 0)
    latest = np.maximum.accumulate(np.where(known, steps, first), axis=1)
    taken = np.take_along_axis(np.where(known, values, np.float32(0)), latest, axis=1)
    return np.where(missing, taken, values)
