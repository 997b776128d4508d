"""Training batches as a function of the step: nothing to remember, nothing to lose in an interruption."""

from collections.abc import Iterator

import torch
from torch import Tensor

from recurrent_cells.data.splits import Split
from recurrent_cells.seeds import derive


class Batches:
    """Full batches of a split by step number.

    `shuffled`: every epoch is a new permutation, its remainder dropped. `file`: one pass after another in
    file order, a batch at the end starting over.
    """

    def __init__(self, split: Split, batch_size: int, order: str, seed: int) -> None:
        self.split = split
        self.batch_size = batch_size
        self.order = order
        self.seed = seed
        self.steps_per_epoch = len(split) // batch_size
        self._epoch = -1
        self._permutation = torch.empty(0, dtype=torch.int64)

    def __call__(self, start: int, stop: int) -> tuple[Tensor, ...]:
        """The batches of steps start … stop - 1 in a row: sequences (S·B, T, F), targets (S·B,), lengths if any."""
        indices = self.indices(start, stop).flatten().to(self.split.targets.device)
        return tuple(part.index_select(0, indices) for part in self.split.parts)

    def indices(self, start: int, stop: int) -> Tensor:
        """The places in the split of the same batches, (S, B), on the CPU."""
        if self.order == "file":
            found = torch.arange(start * self.batch_size, stop * self.batch_size) % len(self.split)
        else:
            found = torch.cat(list(self._by_epoch(start, stop)))
        return found.view(stop - start, self.batch_size)

    def _by_epoch(self, start: int, stop: int) -> Iterator[Tensor]:
        """The places of shuffled batches in a row, those of an epoch at once."""
        while start < stop:
            epoch, batch = divmod(start, self.steps_per_epoch)
            end = min(stop, (epoch + 1) * self.steps_per_epoch)
            if epoch != self._epoch:
                generator = torch.Generator().manual_seed(derive(self.seed, "order", epoch))
                self._permutation = torch.randperm(len(self.split), generator=generator)
                self._epoch = epoch
            yield self._permutation[batch * self.batch_size : (batch + end - start) * self.batch_size]
            start = end
