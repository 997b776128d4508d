"""Training batches as a function of the step: nothing to remember, nothing to lose in an interruption."""

from collections.abc import Iterator

import torch
from torch import Tensor

from recurrent_cells.data.splits import Split
from recurrent_cells.seeds import derive

# Batches whose sequences are sorted by length together: fewer leave more padding, more repeat the same neighbours.
SORTED_BATCHES = 32


class Batches:
    """Full batches of a split by step number.

    `shuffled`: every epoch is a new permutation, its remainder dropped. `by_length`: the same, but of each 32 batches
    the sequences are sorted by length before they are parted, and the batches shuffled after. `file`: one pass after
    another in file order, a batch at the end starting over.
    """

    def __init__(self, split: Split, batch_size: int, order: str, seed: int) -> None:
        self.split = split
        self.batch_size = batch_size
        self.order = order
        self.seed = seed
        self.steps_per_epoch = len(split) // batch_size
        self._epoch = -1
        self._permutation = torch.empty(0, dtype=torch.int64)
        self._lengths = None if split.lengths is None else split.lengths.cpu()

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

    def widths(self, places: Tensor) -> list[int]:
        """The longest length of the sequences of each step, places (S, …) in the split."""
        assert self._lengths is not None
        widths: list[int] = self._lengths[places].flatten(1).amax(dim=1).tolist()
        return widths

    def _by_epoch(self, start: int, stop: int) -> Iterator[Tensor]:
        """The places of shuffled batches in a row, those of an epoch at once."""
        while start < stop:
            epoch, batch = divmod(start, self.steps_per_epoch)
            end = min(stop, (epoch + 1) * self.steps_per_epoch)
            if epoch != self._epoch:
                generator = torch.Generator().manual_seed(derive(self.seed, "order", epoch))
                self._permutation = torch.randperm(len(self.split), generator=generator)
                if self.order == "by_length":
                    self._permutation = self._by_length(self._permutation, generator)
                self._epoch = epoch
            yield self._permutation[batch * self.batch_size : (batch + end - start) * self.batch_size]
            start = end

    def _by_length(self, places: Tensor, generator: torch.Generator) -> Tensor:
        """The places of an epoch, those of a batch of similar length."""
        assert self._lengths is not None
        whole = places[: self.steps_per_epoch * self.batch_size]
        sets = whole.split(SORTED_BATCHES * self.batch_size)
        batches = torch.cat([it[self._lengths[it].argsort(stable=True)] for it in sets]).view(-1, self.batch_size)
        return batches[torch.randperm(len(batches), generator=generator)].flatten()
