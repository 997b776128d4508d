"""MNIST, Fashion-MNIST and KMNIST: found in a folder or downloaded, and told apart by their content."""

import fcntl
import io
import logging
import shutil
import socket
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import ClassVar

from recurrent_cells import paths
from recurrent_cells.config.schema import DataConfig
from recurrent_cells.data.arrays import in_words
from recurrent_cells.data.idx import IdxFile
from recurrent_cells.data.idx_folder import IDX_FILES, existing, find_files, parts_of, read_files
from recurrent_cells.data.sources import Part, Source
from recurrent_cells.errors import UserError

# The three data sets share names and sizes; archives differ in compression. SHA-256 of the decompressed files:
MNIST_SHA256 = (
    "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
)
SHAPES = ((60000, 28, 28), (60000,), (10000, 28, 28), (10000,))
# The mean of all pixels as a share of 255, as users of these data sets normalise by it; test images are near it.
MEAN_GREY = {"mnist": 0.1307, "fashion_mnist": 0.2860, "kmnist": 0.1918}

# Seconds without an answer after which a download gives up.
DOWNLOAD_TIMEOUT = 30.0

log = logging.getLogger(__name__)


class Published(Source):
    """A data set in MNIST's format, from `data.root` or its folder NAME or NAME/raw, else downloaded by torchvision."""

    reads_root = True
    torchvision_name: ClassVar[str]

    def load(self, data: DataConfig) -> list[Part]:
        # A root that was given is never written to unless its user says so.
        may_download = data.download is not False if data.root is None else bool(data.download)
        folder = paths.DATASETS if data.root is None else paths.of_user(data.root)
        if data.root is not None and not may_download:
            existing(Path(data.root))
        if None in self._found(folder) and may_download:
            self._download(folder)
        files = read_files(self._found(folder), folder, "put them there, or data.download=true fetches them")
        _check_identity(self.name, files)
        return parts_of(files)

    @property
    def _raw(self) -> Path:
        """Where torchvision puts the files, in the folder that it is given."""
        return Path(self.torchvision_name) / "raw"

    def _found(self, folder: Path) -> list[Path | None]:
        return find_files(folder, folder / self.name, folder / self._raw)

    def _download(self, folder: Path) -> None:
        log.info("data=%s: downloading into %s", self.name, folder)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with (folder / ".lock").open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                if None in self._found(folder):  # else another process has just fetched them
                    self._fetch(folder)
        except (OSError, RuntimeError) as error:
            reason = ([line for line in str(error).splitlines() if line.strip()] or [type(error).__name__])[-1]
            raise UserError(
                f"data={self.name}: the download into {folder} failed ({reason[:200]}).\n"
                "Give data.root=FOLDER with the four IDX files (plain or .gz), or use data=mnist_5k: "
                "it needs no network."
            ) from None

    def _fetch(self, folder: Path) -> None:
        """Fetch the files into a folder aside, so that a part of a file is never taken for data."""
        from torchvision import datasets

        aside, target = folder / ".download", folder / self._raw
        shutil.rmtree(aside, ignore_errors=True)
        timeout = socket.getdefaulttimeout()
        socket.setdefaulttimeout(DOWNLOAD_TIMEOUT)
        try:
            with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
                getattr(datasets, self.torchvision_name)(str(aside), download=True)
            target.mkdir(parents=True, exist_ok=True)
            for file in IDX_FILES:
                (aside / self._raw / file).replace(target / file)
        finally:
            socket.setdefaulttimeout(timeout)
            shutil.rmtree(aside, ignore_errors=True)


def _check_identity(name: str, files: tuple[IdxFile, ...]) -> None:
    """Raises UserError for files of another data set."""
    for file, shape, mnist_sha256 in zip(files, SHAPES, MNIST_SHA256, strict=True):
        if file.array.shape != shape:
            raise UserError(
                f"{file.path}: {in_words(file.array.shape)} bytes where data={name} has {in_words(shape)}; "
                f"data=idx reads any IDX files"
            )
        if name == "mnist" and file.sha256 != mnist_sha256:
            raise UserError(
                f"{file.path}: these are not the bytes of MNIST (SHA-256 {file.sha256[:12]}…, expected "
                f"{mnist_sha256[:12]}…); a damaged file or another data set: data=idx reads any IDX files"
            )
        found = "mnist" if file.sha256 in MNIST_SHA256 else _nearest(file) if file.array.ndim == 3 else name
        if found != name:
            raise UserError(f"{file.path}: data={name} was asked for and this is a file of {found}; use data={found}")


def _nearest(file: IdxFile) -> str:
    """The data set whose images are, on average, as grey as those of a file."""
    grey = float(file.array.mean()) / 255
    return min(MEAN_GREY, key=lambda name: abs(MEAN_GREY[name] - grey))
