"""The splits as Lightning's loaders: tensors on the training device, batches as slices."""

from collections.abc import Iterator
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor

from recurrent_cells.config.schema import Config
from recurrent_cells.data.batches import Batches
from recurrent_cells.data.splits import Split, Splits


class Slices:
    """A split in file order, `size` sequences at a time."""

    def __init__(self, split: Split, size: int) -> None:
        self.split = split
        self.size = size

    def __len__(self) -> int:
        return -(-len(self.split) // self.size)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        return iter(zip(self.split.sequences.split(self.size), self.split.targets.split(self.size), strict=True))


class Chunks:
    """The stretches of steps from where the module stands to its next evaluation."""

    def __init__(self, module: Any) -> None:
        self.module = module

    def __iter__(self) -> Iterator[tuple[int, int]]:
        start = self.module.step
        end = self.module.schedule.next_evaluation(start)
        while start < end:
            stop = self.module.schedule.next_pause(start)
            yield start, stop
            start = stop


class SequenceDataModule(pl.LightningDataModule):
    """Holds the three splits on the training device.

    `batches` gives the training batches of any stretch of steps; the training loader only says which stretch
    comes next, the evaluation loaders give (sequences (B, T, F), labels (B,)).
    """

    def __init__(self, config: Config, splits: Splits) -> None:
        super().__init__()
        self.config = config
        self.splits = splits
        self.batches: Batches
        self._val: Split
        self._test: Split

    def setup(self, stage: str) -> None:
        if hasattr(self, "batches"):
            return
        assert self.trainer is not None
        device = self.trainer.strategy.root_device
        dtype = torch.float64 if self.config.trainer.precision == "64-true" else torch.float32
        train = self.splits.train.to(device, dtype)
        self.batches = Batches(train, self.config.data.batch_size, self.config.data.order, self.config.seed)
        self._val = self.splits.val.to(device, dtype)
        self._test = self.splits.test.to(device, dtype)

    def train_dataloader(self) -> Chunks:
        assert self.trainer is not None
        return Chunks(self.trainer.lightning_module)

    def val_dataloader(self) -> Slices:
        return Slices(self._val, self.config.data.eval_batch_size)

    def test_dataloader(self) -> Slices:
        return Slices(self._test, self.config.data.eval_batch_size)
