"""What a power cut leaves of a folder: a model of what file systems promise, fed with the calls that were made.

`strict` is what POSIX promises: the content of a file as it was last synced, under the names that were synced with
their folders. `ordered` is what a journal of metadata makes of it (ext4, XFS): all names as they were at the cut, but
the content that was synced.
"""

import hashlib
import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.crash_points.tracer import Call

Image = dict[str, bytes | None]  # contents by path below the folder; a folder has none


@dataclass(eq=False)
class File:
    """A file or, with names in it, a folder. `synced` is the content that is on the disk, `durable` the names there."""

    synced: bytes = b""
    names: "dict[str, File] | None" = None
    durable: "dict[str, File]" = field(default_factory=dict)

    def copy_of_names(self) -> "dict[str, File]":
        return dict(self.names or {})


def read_folder(path: Path) -> File:
    """A folder that has lain on the disk for long."""
    names = {it.name: read_folder(it) if it.is_dir() else File(it.read_bytes()) for it in path.iterdir()}
    return File(names=names, durable=dict(names))


class Disk:
    """The state of a folder, on the disk and as processes see it."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._root = folder, read_folder(folder)

    def apply(self, call: Call) -> None:
        """Take a call that has succeeded."""
        if call.creates or call.name in ("mkdir", "mkdirat"):
            self._set(call.path, File(names={} if call.name.startswith("mkdir") else None))
        elif call.empties:
            self._cut(call.path, 0)
        elif call.name in ("truncate", "ftruncate"):
            self._cut(call.path, call.path.stat().st_size if call.path.exists() else 0)
        elif call.name in ("rename", "renameat", "renameat2"):
            assert call.target is not None
            moved = self._find(call.path)
            self._remove(call.path)
            if moved is not None:
                self._set(call.target, moved)
        elif call.name in ("link", "linkat"):
            assert call.target is not None
            linked = self._find(call.path)
            if linked is not None:
                self._set(call.target, linked)
        elif call.name in ("unlink", "unlinkat", "rmdir"):
            self._remove(call.path)
        elif call.name in ("fsync", "fdatasync"):
            self._sync(call)

    def _sync(self, call: Call) -> None:
        file = self._find(call.path)
        if file is None:  # synced after it was removed
            return
        if file.names is not None:
            file.durable = file.copy_of_names()
        else:
            file.synced = call.content()

    def _cut(self, path: Path, size: int) -> None:
        file = self._find(path)
        if file is not None and size < len(file.synced):
            file.synced = file.synced[:size]

    def _find(self, path: Path) -> File | None:
        file: File | None = self._root
        for name in self._parts(path):
            file = None if file is None or file.names is None else file.names.get(name)
        return file

    def _parts(self, path: Path) -> tuple[str, ...]:
        return path.relative_to(self._folder).parts if path.is_relative_to(self._folder) else ("..",)

    def _set(self, path: Path, file: File) -> None:
        parent = self._find(path.parent)
        if parent is not None and parent.names is not None:
            parent.names[path.name] = file

    def _remove(self, path: Path) -> None:
        parent = self._find(path.parent)
        if parent is not None and parent.names is not None:
            parent.names.pop(path.name, None)

    def left(self, kind: str) -> Image:
        """What a cut at this moment leaves, strict or ordered."""
        found: Image = {}

        def walk(file: File, prefix: str) -> None:
            names = file.durable if kind == "strict" else file.names
            for name, inner in sorted((names or {}).items()):
                found[prefix + name] = None if inner.names is not None else inner.synced
                if inner.names is not None:
                    walk(inner, f"{prefix}{name}/")

        walk(self._root, "")
        return found


def digest(left: Image) -> str:
    """Equal for equal images."""
    summed = hashlib.sha256()
    for path, content in left.items():
        summed.update(f"{path}\0{'' if content is None else hashlib.sha256(content).hexdigest()}\0".encode())
    return summed.hexdigest()


def restore(folder: Path, left: Image) -> None:
    """Have a folder hold an image and nothing else."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for path, content in left.items():
        if content is None:
            (folder / path).mkdir(exist_ok=True)
        else:
            descriptor = os.open(folder / path, os.O_WRONLY | os.O_CREAT, 0o644)
            os.write(descriptor, content)
            os.close(descriptor)
