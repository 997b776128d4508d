"""The examples that train, validate and test, ready to train on."""

import logging
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from recurrent_cells.config.schema import DataConfig
from recurrent_cells.data.arrays import in_words, valid_steps
from recurrent_cells.data.checks import asked_of
from recurrent_cells.data.examples import Examples, load_examples, settings
from recurrent_cells.data.partition import split_indices
from recurrent_cells.data.reading import Reading, reading
from recurrent_cells.data.sequences import Normalizer
from recurrent_cells.data.sources import Part
from recurrent_cells.errors import UserError
from recurrent_cells.memory import check_memory

# Of a value beside itself: in float32 before and after scaling; of numbers, in float64 while deviations are taken.
BYTES_OF_A_BYTE, BYTES_OF_A_NUMBER = 8, 16

# The keys that decide which sequences there are, and not how they are gone through.
DECISIVE = tuple(it.name for it in fields(DataConfig) if it.name not in ("batch_size", "eval_batch_size", "order"))

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Split:
    """Sequences (N, T, F) in float32 with their targets.

    Args:
        targets: classes (N,) as int64, or (N, T) of each step, `NOT_ASKED` where there is none; or numbers (N,) or
            (N, O) as float32.
        lengths: valid steps (N,) as int64, after which sequences are padded with zeros; None where all have T, which
            is that of the longest sequence of the split.
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
        reading: how these became sequences.
        feature_names: of features 0, 1, …; None where they have none.
        offset, scale: what was taken off the values, and what they were divided by then; (F,) where by feature.
    """

    train: Split
    val: Split
    test: Split
    num_classes: int
    class_names: tuple[str, ...] | None
    is_image: bool
    image_size: tuple[int, int]
    reading: Reading
    digest: str
    offset: float | Tensor
    scale: float | Tensor
    feature_names: tuple[str, ...] | None = None

    def to(self, device: torch.device, dtype: torch.dtype) -> "Splits":
        train, val, test = (split.to(device, dtype) for split in (self.train, self.val, self.test))
        return replace(self, train=train, val=val, test=test)

    @property
    def num_outputs(self) -> int:
        """Outputs of a network: one for each class, or for each number."""
        targets = self.train.targets
        return self.num_classes or (1 if targets.dim() == 1 else targets.shape[1])

    @property
    def has_lengths(self) -> bool:
        """Whether sequences differ in length."""
        return any(split.lengths is not None for split in (self.train, self.val, self.test))

    @property
    def num_features(self) -> int:
        return self.train.sequences.shape[2]

    @property
    def num_steps(self) -> int:
        """Steps of the longest sequence."""
        return max(split.sequences.shape[1] for split in (self.train, self.val, self.test))


def load_splits(data: DataConfig) -> Splits:
    """Load, split and scale the examples that a config names; done once per process and config.

    Raises:
        UserError: if the examples cannot be loaded, or a split or batch is larger than the data.
    """
    splits = _load_splits(settings(data, DECISIVE))
    if data.batch_size > len(splits.train):
        raise UserError(
            f"data.batch_size={data.batch_size}: more than there are training examples; "
            f"allowed is 1 to {len(splits.train)}"
        )
    return splits


@lru_cache(maxsize=2)
def _load_splits(settings: tuple[tuple[str, Any], ...]) -> Splits:
    data = DataConfig(**dict(settings))
    source = load_examples(data)
    train, val, test = split_indices(source, data)
    check_memory(*_needed(source, data, len(train) + len(val) + len(test)), "data.train_size takes fewer")
    training = source.train.take(train)
    _check_variety(data.name, training, source.num_classes)
    is_image = training.values.dtype == np.uint8
    size = (training.values.shape[1], training.values.shape[2])
    read = reading(data, size)
    _check_reading(data, training)

    def sequences(part: Part) -> tuple[Tensor, Tensor | None]:
        lengths = None if part.lengths is None else torch.from_numpy(part.lengths)
        return read(torch.from_numpy(np.array(part.values))), lengths

    normalize = Normalizer(data.normalize, *sequences(training))

    def split(part: Part) -> Split:
        part = part if part.lengths is None else part.trimmed(int(part.lengths.max(initial=1)))
        values, lengths = sequences(part)
        return Split(normalize(values, lengths), as_tensor(part.targets), lengths)

    test_split = split(source.train.take(test) if source.test is None else source.test)
    return Splits(
        train=split(training),
        val=test_split if data.validate_on == "test" else split(source.train.take(val)),
        test=test_split,
        num_classes=source.num_classes or 0,
        class_names=source.train.class_names,
        is_image=is_image,
        image_size=size,
        reading=read,
        digest=source.digest,
        offset=normalize.offset,
        scale=normalize.scale,
        feature_names=source.train.feature_names,
    )


def _needed(source: Examples, data: DataConfig, examples: int) -> tuple[int, str]:
    """Bytes of the splits, and what needs them."""
    values = source.train.values
    beside = BYTES_OF_A_BYTE if values.dtype == np.uint8 else BYTES_OF_A_NUMBER
    count = examples * values[0].size + (0 if source.test is None else source.test.values.size)
    examples += 0 if source.test is None else len(source.test.targets)
    sizes = in_words(values.shape[1:])
    return count * (values.dtype.itemsize + beside), f"data={data.name}: {examples} sequences of {sizes} numbers"


def _check_reading(data: DataConfig, training: Part) -> None:
    """Raises UserError where sequences that end before the last step are to be read in another direction."""
    if training.lengths is not None and data.sequence != "rows":
        raise UserError(
            f"data.sequence={data.sequence}: data={data.name} has series of several lengths, no images; allowed is rows"
        )


def _check_variety(name: str, training: Part, num_classes: int | None) -> None:
    """Warns of classes without an example to train on; raises UserError if there is nothing to learn."""
    values, targets = training.values, asked_of(training)
    if training.lengths is not None:
        values = values[valid_steps(training.lengths, values.shape[1])]
    for what, array in (("values", values), ("targets", targets)):
        if array.size == 0 or array.min() == array.max():
            same = f"{array.flat[0]:g}" if array.size else "not asked for"
            raise UserError(f"data={name}: all {what} to train on are {same}, there is nothing to learn")
    if num_classes is not None and (empty := num_classes - len(np.unique(targets))):
        log.warning("data=%s: %d of %d classes have no example to train on", name, empty, num_classes)


def as_tensor(targets: NDArray[Any]) -> Tensor:
    """Targets in the types of a `Split`."""
    return torch.from_numpy(targets.astype(np.float32 if targets.dtype.kind == "f" else np.int64))


def held_out(source: Examples, data: DataConfig) -> Part:
    """The examples that test, as the source has them; raises UserError as `split_indices`."""
    return source.train.take(split_indices(source, data)[2]) if source.test is None else source.test
