"""What Lightning loops over: stretches of steps to train, slices of a split on the training device to evaluate."""

from collections.abc import Iterator

from torch import Tensor

from recurrent_cells.data.splits import Split
from recurrent_cells.training.program import Program


class Slices:
    """A split in file order, `size` at a time: sequences (B, T, F), targets (B,), and lengths (B,) if there are any."""

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
