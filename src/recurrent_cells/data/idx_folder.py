"""The four IDX files of MNIST's names: images and labels, for training and for testing."""

from collections.abc import Sequence
from pathlib import Path

from recurrent_cells.data.arrays import in_words
from recurrent_cells.data.idx import IdxFile, read_idx
from recurrent_cells.data.sources import Part
from recurrent_cells.errors import UserError
from recurrent_cells.paths import kind, of_user

IDX_FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)


def existing(root: Path) -> Path:
    """The folder that `data.root` names; raises UserError if there is none."""
    folder = of_user(root)
    if (found := kind(folder)) != "folder":
        what = "is not a folder" if found else "does not exist"
        raise UserError(f"data.root={root}: {what}; give a folder with {IDX_FILES[0]}[.gz] and the three others")
    return folder


def find_files(*folders: Path) -> list[Path | None]:
    """The four files, plain or gzipped, each from the first folder that has it."""
    candidates = [[folder / f"{file}{end}" for folder in folders for end in ("", ".gz")] for file in IDX_FILES]
    return [next((path for path in paths if path.is_file()), None) for paths in candidates]


def read_files(found: Sequence[Path | None], folder: Path, hint: str) -> tuple[IdxFile, ...]:
    """Read what `find_files` found; raises UserError with the hint if files are missing, or if one is damaged."""
    missing = [file for file, path in zip(IDX_FILES, found, strict=True) if path is None]
    if missing:
        raise UserError(f"data.root={folder}: no {', '.join(missing)}, plain or .gz; {hint}")
    return tuple(read_idx(path, ndim) for path, ndim in zip(found, (3, 1, 3, 1), strict=True) if path is not None)


def parts_of(files: tuple[IdxFile, ...]) -> list[Part]:
    """The training part and the test part."""
    pairs = zip(files[0::2], files[1::2], strict=True)
    return [Part(images.array, labels.array, str(labels.path)) for images, labels in pairs]


def check_pairs(files: tuple[IdxFile, ...]) -> None:
    """Raises UserError if images lack labels, or those that train and test are of different sizes."""
    for images, labels in (files[:2], files[2:]):
        if len(images.array) != len(labels.array):
            raise UserError(
                f"{labels.path}: {len(labels.array)} labels, but {images.path.name} has {len(images.array)} images; "
                f"each needs one label"
            )
    size, test_size = files[0].array.shape[1:], files[2].array.shape[1:]
    if size != test_size:
        raise UserError(
            f"{files[2].path}: images of {in_words(test_size)}, but {in_words(size)} in {files[0].path.name}; "
            f"both must be of one size"
        )
