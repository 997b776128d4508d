"""Files that survive a crash and a power failure."""

import fcntl
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

# Files that are synced at the same time: the disk takes them together, where one by one each would wait for its own.
AT_ONCE = 16


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that a reader sees all of it or none, also after a power failure, which leaves it then."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f"{path.name}{uuid.uuid4().hex[:8]}")  # not a file of `tempfile`: others may not read those
    try:
        with new.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    except BaseException:
        new.unlink(missing_ok=True)
        raise
    _sync(path.parent)


def make_folder(folder: Path) -> None:
    """Make a folder, with those above it that are missing, so that a power failure does not take it away."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    sync(path.parent for path in missing)


def sync(paths: Iterable[Path]) -> None:
    """Have files, and the names in folders, on the disk; raises OSError if it does not take them."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(_sync, paths))


def sync_tree(folder: Path) -> None:
    """Have a folder, all that is in it, and its own name on the disk; raises OSError if it does not take them."""
    sync([folder.parent, folder, *folder.rglob("*")])


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def scratch_folder(parent: Path, prefix: str) -> Iterator[Path]:
    """A new folder while the body runs, unless the body renames it; those that killed processes have left are removed.

    The kernel releases a lock when its holder dies: a folder that can be locked is no one's any more.
    """
    parent.mkdir(parents=True, exist_ok=True)
    for left in parent.glob(f"{prefix}*"):
        with folder_lock(left) as is_mine:
            if is_mine:
                shutil.rmtree(left, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(dir=parent, prefix=prefix))
    with folder_lock(folder):
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def folder_lock(folder: Path) -> Iterator[bool]:
    """Whether this process, and no other, holds a folder while the body runs."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        yield False
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        is_mine = True
    except OSError:
        is_mine = False
    try:
        yield is_mine
    finally:
        os.close(descriptor)
