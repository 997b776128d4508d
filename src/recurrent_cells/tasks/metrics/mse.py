"""Mean squared error."""

from torch import Tensor

from recurrent_cells.tasks.metrics import Metric


class MeanSquaredError(Metric):
    """The squared error, in the square of the targets' unit, of answers and targets (…, O)."""

    name, higher_is_better = "mse", False

    def __call__(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return (outputs.double() - targets.double()).square().mean(dim=-1)
