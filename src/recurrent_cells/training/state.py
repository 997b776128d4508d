"""Files of weights and trial states: written whole, read without pickle."""

import io
import pickle
from pathlib import Path
from typing import Any, BinaryIO

import torch

from recurrent_cells.errors import UserError, first_line
from recurrent_cells.files import write_atomically


def save(content: dict[str, Any], path: Path) -> None:
    write_atomically(path, as_bytes(content))


def as_bytes(content: dict[str, Any]) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


def load(path: Path) -> dict[str, Any]:
    """Read what `save` wrote, onto the CPU; raises as `read`."""
    try:
        return read(io.BytesIO(path.read_bytes()), path)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None


def read(file: BinaryIO, name: Path) -> dict[str, Any]:
    """The content of an open file, onto the CPU.

    Raises:
        UserError: if the file is damaged, or holds anything but tensors and plain values.
    """
    try:
        if file.read(2) != b"PK":  # torch would try an older format
            raise ValueError("not a zip file")
        file.seek(0)
        content = torch.load(file, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, ValueError, KeyError, pickle.UnpicklingError) as error:
        raise UserError(f"{name}: not a usable checkpoint ({first_line(error, 120)})") from None
    assert isinstance(content, dict)
    return content
