"""Balanced accuracy."""

from torch import Tensor

from recurrent_cells.tasks.metrics import Metric


class BalancedAccuracy(Metric):
    """The mean recall of the classes that targets (N,) have, of which all are given at once."""

    name, is_share = "balanced_acc", True

    def __call__(self, outputs: Tensor, targets: Tensor) -> Tensor:
        _, places, counts = targets.unique(return_inverse=True, return_counts=True)
        right = (outputs.argmax(dim=-1) == targets).double()
        return right * len(targets) / (len(counts) * counts[places])
