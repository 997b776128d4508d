"""The IDX file format of MNIST: a magic number, the sizes, then bytes."""

import gzip
import hashlib
import math
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from recurrent_cells.errors import UserError

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
    content = _decompressed(path)
    if not content:
        raise UserError(f"{path}: the file is empty, expected an IDX file of unsigned bytes; fetch it again")
    header = 4 + 4 * ndim
    magic = struct.pack(">BBBB", 0, 0, UNSIGNED_BYTE, ndim)
    if content[:4] != magic:
        raise UserError(
            f"{path}: wrong magic number 0x{content[:4].hex()}, expected 0x{magic.hex()}: "
            f"an IDX file of unsigned bytes, {'images' if ndim == 3 else 'labels'}"
        )
    if len(content) < header:
        raise UserError(f"{path}: truncated, of the header's {header} bytes it has {len(content)}; fetch it again")
    shape = struct.unpack(f">{ndim}I", content[4:header])
    expected = header + math.prod(shape)
    if len(content) != expected:
        state = "truncated" if len(content) < expected else "too long"
        raise UserError(
            f"{path}: {state}, {len(content)} bytes where its header {shape} means {expected}; fetch it again"
        )
    if 0 in shape:
        raise UserError(f"{path}: holds nothing, its header says {shape}")
    array = np.frombuffer(content, dtype=np.uint8, offset=header).reshape(shape)
    return IdxFile(path, array, hashlib.sha256(content).hexdigest())


def _decompressed(path: Path) -> bytes:
    try:
        content = path.read_bytes()
        return gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
    except EOFError:
        raise UserError(f"{path}: truncated, the gzip stream ends too early; fetch it again") from None
    except (gzip.BadGzipFile, zlib.error) as error:
        raise UserError(f"{path}: damaged gzip file ({error}); fetch it again") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
