"""What the files of a run are to be: their sizes and digests, kept with the run and compared with what is there."""

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit
from urllib.request import url2pathname

from recurrent_cells.tracking.names import Artifact, Tag

MISSING, EMPTY, ALTERED = "missing", "empty", "altered"


class Written(NamedTuple):
    """A file as the trial wrote it; of runs of earlier versions the size (in bytes) is not known."""

    size: int | None
    sha256: str


# By name, with the folders in it.
Manifest = dict[str, Written]
# What is wrong with files, by name: missing, empty or altered.
Faults = dict[str, str]


def describe(folder: Path) -> Manifest:
    """The files below a folder as they are."""
    contents = {path.relative_to(folder).as_posix(): path.read_bytes() for path in files_below(folder)}
    return {name: Written(len(content), digest(content)) for name, content in contents.items()}


def files_below(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def as_tags(manifest: Manifest) -> dict[str, str]:
    return {Tag.MANIFEST: json.dumps(manifest, separators=(",", ":"))}


def of_tags(tags: Mapping[str, str]) -> Manifest:
    """The manifest kept with a run; of a run without, what is known of its checkpoint."""
    if Tag.MANIFEST in tags:
        return from_json(json.loads(tags[Tag.MANIFEST]))
    if Tag.CHECKPOINT_DIGEST in tags:
        return {Artifact.CHECKPOINT: Written(None, tags[Tag.CHECKPOINT_DIGEST])}
    return {}


def from_json(entries: Mapping[str, Iterable[object]]) -> Manifest:
    return {name: Written(*entry) for name, entry in entries.items()}  # type: ignore[arg-type]


def faults_by_size(manifest: Manifest, size: Callable[[str], int | None]) -> Faults:
    """What is wrong as far as sizes show: `size` gives that of a file, None where there is none."""
    found = {name: _fault(written, size(name)) for name, written in manifest.items()}
    return {name: fault for name, fault in found.items() if fault}


def faults_by_content(manifest: Manifest, read: Callable[[str], bytes | None]) -> Faults:
    """What is wrong to the byte: `read` gives the content of a file, None where there is none."""
    faults: Faults = {}
    for name, written in manifest.items():
        content = read(name)
        fault = _fault(written, None if content is None else len(content))
        if not fault and content is not None and digest(content) != written.sha256:
            fault = ALTERED
        if fault:
            faults[name] = fault
    return faults


def _fault(written: Written, size: int | None) -> str:
    if size is None:
        return MISSING
    if size == written.size or (written.size is None and size > 0):
        return ""
    return ALTERED if size else EMPTY


def in_words(faults: Faults, verb: str = "is") -> str:
    return ", ".join(f"{name} {verb} {fault}" for name, fault in faults.items())


def local_folder(artifact_uri: str) -> Path | None:
    """Where the files of a run lie on this machine; None if they are asked of a server."""
    if artifact_uri.startswith("/"):
        return Path(artifact_uri)
    return Path(url2pathname(urlsplit(artifact_uri).path)) if artifact_uri.startswith("file:") else None


def size_in(folder: Path) -> Callable[[str], int | None]:
    root = str(folder)

    def size(name: str) -> int | None:
        try:
            return os.stat(f"{root}/{name}").st_size  # noqa: PTH116  (of many runs: a Path would take longer)
        except (FileNotFoundError, NotADirectoryError):
            return None

    return size


def read_in(folder: Path) -> Callable[[str], bytes | None]:
    def read(name: str) -> bytes | None:
        try:
            return (folder / name).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None

    return read
