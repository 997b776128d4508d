"""Training batches as a function of the step: nothing to remember, nothing to lose in an interruption."""

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
        return torch.stack([self._indices(step) for step in range(start, stop)])

    def _indices(self, step: int) -> Tensor:
        if self.order == "file":
            first = step * self.batch_size
            return torch.arange(first, first + self.batch_size) % len(self.split)
        epoch, batch = divmod(step, self.steps_per_epoch)
        if epoch != self._epoch:
            generator = torch.Generator().manual_seed(derive(self.seed, "order", epoch))
            self._permutation = torch.randperm(len(self.split), generator=generator)
            self._epoch = epoch
        return self._permutation[batch * self.batch_size : (batch + 1) * self.batch_size]
