"""The IDX file format of MNIST: a magic number, the sizes, then bytes."""

import gzip
import hashlib
import math
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from recurrent_cells.errors import UserError
from recurrent_cells.memory import check_memory

UNSIGNED_BYTE = 0x08


@dataclass(frozen=True)
class IdxFile:
    """The array of an IDX file of unsigned bytes, and the SHA-256 of the decompressed file."""

    path: Path
    array: NDArray[np.uint8]
    sha256: str


def read_idx(path: Path, ndim: int) -> IdxFile:
    """Read an IDX file, plain or gzipped.

    Args:
        path: the file; gzip is told by its first two bytes, not its name.
        ndim: 3 for images (N, H, W), 1 for labels (N,).

    Raises:
        UserError: if it is empty, truncated, damaged, of another kind, or not of the size its header says.
    """
    length = 4 + 4 * ndim
    try:
        with _opened(path) as file:
            header = file.read(length)
            shape = _shape(path, header, ndim)
            expected = math.prod(shape)
            # The header says where to stop: a file may decompress to no end.
            most = expected if isinstance(file, gzip.GzipFile) else min(expected, path.stat().st_size)
            check_memory(most, f"{path}: {shape} bytes", "data of fewer would fit")
            content = file.read(most + 1)
    except EOFError:
        raise UserError(f"{path}: truncated, the gzip stream ends too early; fetch it again") from None
    except (gzip.BadGzipFile, zlib.error) as error:
        raise UserError(f"{path}: damaged gzip file ({error}); fetch it again") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    if len(content) != expected:
        found = (
            f"truncated, {length + len(content)}" if len(content) < expected else f"too long, over {length + expected}"
        )
        raise UserError(f"{path}: {found} bytes where its header {shape} means {length + expected}; fetch it again")
    digest = hashlib.sha256(header)
    digest.update(content)
    return IdxFile(path, np.frombuffer(content, dtype=np.uint8).reshape(shape), digest.hexdigest())


def _opened(path: Path) -> IO[bytes] | gzip.GzipFile:
    with path.open("rb") as file:
        is_gzip = file.read(2) == b"\x1f\x8b"
    return gzip.open(path) if is_gzip else path.open("rb")


def _shape(path: Path, header: bytes, ndim: int) -> tuple[int, ...]:
    """The sizes in a header; raises UserError if there are none."""
    if not header:
        raise UserError(f"{path}: the file is empty, expected an IDX file of unsigned bytes; fetch it again")
    magic = struct.pack(">BBBB", 0, 0, UNSIGNED_BYTE, ndim)
    if header[:4] != magic:
        raise UserError(
            f"{path}: wrong magic number 0x{header[:4].hex()}, expected 0x{magic.hex()}: "
            f"an IDX file of unsigned bytes, {'images' if ndim == 3 else 'labels'}"
        )
    if len(header) < 4 + 4 * ndim:
        raise UserError(f"{path}: truncated, of the header's {4 + 4 * ndim} bytes it has {len(header)}; fetch it again")
    shape = struct.unpack(f">{ndim}I", header[4:])
    if 0 in shape:
        raise UserError(f"{path}: holds nothing, its header says {shape}")
    return shape
