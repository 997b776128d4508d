"""Accuracy."""

from torch import Tensor

from recurrent_cells.tasks.metrics import Metric


class Accuracy(Metric):
    """Whether the likeliest class is the right one."""

    name, is_share = "acc", True

    def __call__(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return (outputs.argmax(dim=-1) == targets).double()
