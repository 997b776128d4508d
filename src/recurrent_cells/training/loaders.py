"""The splits as Lightning's loaders: tensors on the training device, batches as slices."""

from collections.abc import Iterator

import pytorch_lightning as pl
from torch import Tensor

from recurrent_cells.data.splits import Split, Splits
from recurrent_cells.training.program import Program


class Slices:
    """A split in file order, `size` sequences at a time."""

    def __init__(self, split: Split, size: int) -> None:
        self.split = split
        self.size = size

    def __len__(self) -> int:
        return -(-len(self.split) // self.size)

    def __iter__(self) -> Iterator[tuple[Tensor, ...]]:
        return iter(zip(*(part.split(self.size) for part in self.split.parts), strict=True))


class Chunks:
    """The stretches of steps from where a program stands to its next evaluation."""

    def __init__(self, program: Program) -> None:
        self.program = program

    def __iter__(self) -> Iterator[tuple[int, int]]:
        schedule, start = self.program.schedule, self.program.step
        end = schedule.next_evaluation(start)
        while start < end:
            stop = schedule.next_pause(start)
            yield start, stop
            start = stop


class SequenceDataModule(pl.LightningDataModule):
    """Loaders over splits that lie on the training device.

    The training loader says which stretch of steps a program takes next; the evaluation loaders give (sequences
    (B, T, F), targets (B,)), and lengths (B,) where there are any.

    Args:
        size: sequences that are evaluated at once.
    """

    def __init__(self, data: Splits, size: int, program: Program | None = None) -> None:
        super().__init__()
        self.splits, self.size, self.program = data, size, program

    def train_dataloader(self) -> Chunks:
        assert self.program is not None
        return Chunks(self.program)

    def val_dataloader(self) -> Slices:
        return Slices(self.splits.val, self.size)

    def test_dataloader(self) -> Slices:
        return Slices(self.splits.test, self.size)
