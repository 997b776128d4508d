"""Which images train, validate and test."""

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from recurrent_cells.config.schema import DataConfig
from recurrent_cells.data.images import Images, load_images
from recurrent_cells.data.sequences import Normalizer, as_sequences
from recurrent_cells.errors import UserError


@dataclass(frozen=True)
class Split:
    """Sequences (N, T, F) in float32 and what is asked of each, (N,)."""

    sequences: Tensor
    targets: Tensor

    def __len__(self) -> int:
        return len(self.targets)

    def to(self, device: torch.device, dtype: torch.dtype) -> "Split":
        targets = self.targets.to(dtype) if self.targets.is_floating_point() else self.targets
        return Split(self.sequences.to(device, dtype), targets.to(device))


@dataclass(frozen=True)
class Splits:
    """The three parts of a data set, ready to train on, and what a network must know of them."""

    train: Split
    val: Split
    test: Split
    num_classes: int
    image_size: tuple[int, int]
    digest: str
    offset: float
    scale: float

    def to(self, device: torch.device, dtype: torch.dtype) -> "Splits":
        train, val, test = (split.to(device, dtype) for split in (self.train, self.val, self.test))
        return replace(self, train=train, val=val, test=test)

    @property
    def num_features(self) -> int:
        return self.train.sequences.shape[2]

    @property
    def num_steps(self) -> int:
        return self.train.sequences.shape[1]


def load_splits(data: DataConfig) -> Splits:
    """Load, split and scale the images that a config names; done once per process and config.

    Raises:
        UserError: if the images cannot be loaded, or a split or batch is larger than the data.
    """
    keys = ("name", "root", "download", "num_classes", "normalize", "sequence", "train_size", "val_size")
    more = ("test_size", "split", "split_seed", "validate_on")
    splits = _load_splits(tuple((key, getattr(data, key)) for key in keys + more))
    if data.batch_size > len(splits.train):
        raise UserError(
            f"data.batch_size={data.batch_size}: more than there are training images; "
            f"allowed is 1 to {len(splits.train)}"
        )
    return splits


@lru_cache(maxsize=2)
def _load_splits(settings: tuple[tuple[str, str | int | None], ...]) -> Splits:
    data = DataConfig(**dict(settings))  # type: ignore[arg-type]
    source = load_images(data)
    train, val, test = split_indices(len(source.labels), data, has_test_files=source.test_labels is not None)
    raw_train = as_sequences(source.images[train], data.sequence)
    normalize = Normalizer(data.normalize, raw_train)

    def split(images: NDArray[np.uint8], labels: NDArray[np.uint8]) -> Split:
        sequences = normalize(as_sequences(images, data.sequence))
        return Split(sequences, torch.from_numpy(labels.astype(np.int64)))

    test_split = split(*_held_out(source, test))
    watched = test_split if data.validate_on == "test" else split(source.images[val], source.labels[val])
    return Splits(
        train=Split(normalize(raw_train), torch.from_numpy(source.labels[train].astype(np.int64))),
        val=watched,
        test=test_split,
        num_classes=source.num_classes,
        image_size=(source.images.shape[1], source.images.shape[2]),
        digest=source.digest,
        offset=normalize.offset,
        scale=normalize.scale,
    )


def held_out(source: Images, data: DataConfig) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """The images (N, H, W) and labels (N,) that test, as bytes; raises UserError as `split_indices`."""
    if source.test_labels is not None:
        return _held_out(source, np.empty(0, dtype=np.int64))
    return _held_out(source, split_indices(len(source.labels), data, has_test_files=False)[2])


def _held_out(source: Images, test: NDArray[np.int64]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """The test files, or the images at `test` for a source without."""
    if source.test_images is not None and source.test_labels is not None:
        return source.test_images, source.test_labels
    return source.images[test], source.labels[test]


def split_indices(
    size: int, data: DataConfig, has_test_files: bool
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Positions in the training file that train, validate and test, each in file order.

    Raises:
        UserError: if the parts are larger than the file.
    """
    if has_test_files and data.test_size is not None:
        raise UserError(f"data.test_size={data.test_size}: data={data.name} has test files, all of them are scored")
    if not has_test_files and data.test_size is None:
        raise UserError(f"data.test_size=null: data={data.name} has no test files, say how many images to keep for it")
    test_size = data.test_size or 0
    left = size - test_size - data.val_size
    train_size = left if data.train_size is None else data.train_size
    if left < 1 or train_size > left:
        raise UserError(
            f"data.train_size={data.train_size or 'null'} data.val_size={data.val_size}"
            + (f" data.test_size={test_size}" if test_size else "")
            + f": together more than the {size} images there are, at least 1 must be left to train on"
        )
    drawn = np.random.RandomState(data.split_seed).permutation(size)
    test, rest = drawn[:test_size], drawn[test_size:]
    if data.split == "tail":
        rest = np.sort(rest)
    val = rest[len(rest) - data.val_size :]
    return np.sort(rest[:train_size]), np.sort(val), np.sort(test)
