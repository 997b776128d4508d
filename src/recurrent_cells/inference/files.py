"""The files that a command line names."""

import glob
from collections.abc import Sequence
from pathlib import Path

from recurrent_cells.errors import UserError

STANDARD_INPUT = "-"
SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")


def find_files(key: str, patterns: Sequence[str]) -> list[str]:
    """The files, folders and `-` that patterns name, each once; a pattern that is the name of a file means that file.

    Args:
        key: by which the patterns were given.

    Raises:
        UserError: if a pattern names no file.
    """
    found: dict[str, None] = {}
    for pattern in patterns:
        literal = pattern == STANDARD_INPUT or _exists(pattern)
        matches = [pattern] if literal else sorted(_matches(pattern))
        if not matches:
            raise UserError(f"{key}={pattern}: no such file; allowed is a file, a folder, a pattern in quotes, or -")
        found |= dict.fromkeys(matches)
    return list(found)


def _exists(name: str) -> bool:
    try:
        return Path(name).exists()
    except (OSError, ValueError):  # a name too long, or with a null character
        return False


def _matches(pattern: str) -> list[str]:
    try:
        return glob.glob(pattern, recursive=True)  # noqa: PTH207 - a Path would not take absolute patterns
    except (OSError, ValueError):
        return []


def files_in(folder: str, suffixes: Sequence[str]) -> list[str]:
    """The files of a folder with one of these suffixes, sorted; empty if the folder cannot be read."""
    try:
        return sorted(str(path) for path in Path(folder).iterdir() if path.suffix.lower() in suffixes)
    except OSError:
        return []
