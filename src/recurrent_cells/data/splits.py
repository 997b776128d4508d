"""Which examples train, validate and test."""

import logging
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from recurrent_cells.config.schema import DataConfig
from recurrent_cells.data.examples import Examples, load_examples
from recurrent_cells.data.sequences import Normalizer, as_sequences
from recurrent_cells.data.sources import Part
from recurrent_cells.errors import UserError
from recurrent_cells.memory import check_memory

# As it is read, and in float32 before and after scaling.
BYTES_OF_A_VALUE = 9

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Split:
    """Sequences (N, T, F) in float32 and targets (N,): classes as int64, or numbers as float32.

    `lengths` (N,) as int64 are the valid steps, after which sequences are padded; None where all have T.
    """

    sequences: Tensor
    targets: Tensor
    lengths: Tensor | None = None

    def __len__(self) -> int:
        return len(self.targets)

    @property
    def parts(self) -> tuple[Tensor, ...]:
        """What batches are cut from: sequences, targets, and lengths where there are any."""
        return (self.sequences, self.targets) if self.lengths is None else (self.sequences, self.targets, self.lengths)

    def to(self, device: torch.device, dtype: torch.dtype) -> "Split":
        targets = self.targets.to(dtype) if self.targets.is_floating_point() else self.targets
        lengths = None if self.lengths is None else self.lengths.to(device)
        return Split(self.sequences.to(device, dtype), targets.to(device), lengths)


@dataclass(frozen=True)
class Splits:
    """The three parts of a data set, ready to train on, and what a network must know of them.

    Args:
        num_classes: 0 where targets are numbers.
        class_names: of classes 0, 1, …; None where they are called by their numbers.
        is_image: whether sequences are images that were read as such.
        image_size: (H, W) of an image, (T, F) of another sequence.
        offset, scale: what was taken off the values, and what they were divided by then.
    """

    train: Split
    val: Split
    test: Split
    num_classes: int
    class_names: tuple[str, ...] | None
    is_image: bool
    image_size: tuple[int, int]
    digest: str
    offset: float
    scale: float

    def to(self, device: torch.device, dtype: torch.dtype) -> "Splits":
        train, val, test = (split.to(device, dtype) for split in (self.train, self.val, self.test))
        return replace(self, train=train, val=val, test=test)

    @property
    def num_outputs(self) -> int:
        """Outputs of a network: one for each class, or for each number."""
        targets = self.train.targets
        return self.num_classes or (1 if targets.dim() == 1 else targets.shape[1])

    @property
    def num_features(self) -> int:
        return self.train.sequences.shape[2]

    @property
    def num_steps(self) -> int:
        return self.train.sequences.shape[1]


def load_splits(data: DataConfig) -> Splits:
    """Load, split and scale the examples that a config names; done once per process and config.

    Raises:
        UserError: if the examples cannot be loaded, or a split or batch is larger than the data.
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
    source = load_examples(data)
    train, val, test = split_indices(len(source.train.targets), data, has_test_files=source.test is not None)
    examples = len(train) + len(val) + len(test if source.test is None else source.test.targets)
    check_memory(
        examples * source.train.values[0].size * BYTES_OF_A_VALUE,
        f"data={data.name}: {examples} sequences of {' x '.join(map(str, source.train.values.shape[1:]))} numbers",
        "data.train_size takes fewer",
    )
    training = source.train.take(train)
    _check_variety(data.name, training, source.num_classes)
    normalize = Normalizer(data.normalize, as_sequences(training.values, data.sequence))

    def split(part: Part) -> Split:
        lengths = None if part.lengths is None else torch.from_numpy(part.lengths)
        return Split(normalize(as_sequences(part.values, data.sequence)), _as_tensor(part.targets), lengths)

    test_split = split(_held_out(source, test))
    return Splits(
        train=split(training),
        val=test_split if data.validate_on == "test" else split(source.train.take(val)),
        test=test_split,
        num_classes=source.num_classes or 0,
        class_names=source.train.class_names,
        is_image=source.train.values.dtype == np.uint8,
        image_size=(source.train.values.shape[1], source.train.values.shape[2]),
        digest=source.digest,
        offset=normalize.offset,
        scale=normalize.scale,
    )


def _check_variety(name: str, training: Part, num_classes: int | None) -> None:
    """Warns of classes without an example to train on; raises UserError if there is nothing to learn."""
    for what, array in (("values", training.values), ("targets", training.targets)):
        if array.min() == array.max():
            raise UserError(f"data={name}: all {what} to train on are {array.flat[0]:g}, there is nothing to learn")
    if num_classes is not None and (empty := num_classes - len(np.unique(training.targets))):
        log.warning("data=%s: %d of %d classes have no example to train on", name, empty, num_classes)


def _as_tensor(targets: NDArray[Any]) -> Tensor:
    return torch.from_numpy(targets.astype(np.float32 if targets.dtype.kind == "f" else np.int64))


def held_out(source: Examples, data: DataConfig) -> Part:
    """The examples that test, as the source has them; raises UserError as `split_indices`."""
    if source.test is not None:
        return source.test
    return _held_out(source, split_indices(len(source.train.targets), data, has_test_files=False)[2])


def _held_out(source: Examples, test: NDArray[np.int64]) -> Part:
    """The test files, or the examples at `test` for a source without."""
    return source.train.take(test) if source.test is None else source.test


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
