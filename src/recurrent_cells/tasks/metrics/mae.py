"""Mean absolute error."""

from torch import Tensor

from recurrent_cells.tasks.metrics import Metric


class MeanAbsoluteError(Metric):
    """The absolute error, in the targets' unit, of answers and targets (…, O)."""

    name, higher_is_better = "mae", False

    def __call__(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return (outputs.double() - targets.double()).abs().mean(dim=-1)
