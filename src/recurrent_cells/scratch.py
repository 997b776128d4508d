"""Temporary files of a command, of which nothing is left: what a killed command leaves, a later one removes."""

import fcntl
import os
import shutil
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from recurrent_cells.files import folder_lock

PREFIX = "recurrent-cells-"
# A folder this young may be about to be locked by the command that made it.
SECONDS_TO_LOCK = 60.0

_own: tempfile.TemporaryDirectory[str] | None = None
_shared: str | None = None


def take_scratch() -> None:
    """Have all temporary files of this process, and of those forked from it, in a folder that goes with them."""
    global _own, _shared
    _shared = tempfile.gettempdir()
    for folder in Path(_shared).glob(f"{PREFIX}*"):
        with suppress(OSError):
            _remove_if_left(folder)
    _own = tempfile.TemporaryDirectory(prefix=PREFIX)
    fcntl.flock(os.open(_own.name, os.O_RDONLY), fcntl.LOCK_EX)  # until the last of these processes has ended
    tempfile.tempdir = _own.name


def new_log(prefix: str) -> Path:
    """An empty file that outlives the command."""
    handle, path = tempfile.mkstemp(prefix=prefix, suffix=".log", dir=_shared)
    os.close(handle)
    return Path(path)


def _remove_if_left(folder: Path) -> None:
    if folder.stat().st_uid != os.getuid() or time.time() - folder.stat().st_mtime < SECONDS_TO_LOCK:
        return
    with folder_lock(folder) as is_mine:
        if is_mine:
            shutil.rmtree(folder, ignore_errors=True)
