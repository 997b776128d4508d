"""The coefficient of determination."""

from torch import Tensor

from recurrent_cells.tasks.metrics import Metric


class R2(Metric):
    """1 less the squared error in variances of the targets (N, O), of which all are given at once; the mean over O.

    0 is that of answering their mean; NaN or -inf where they are all equal.
    """

    name = "r2"

    def __call__(self, outputs: Tensor, targets: Tensor) -> Tensor:
        targets = targets.double()
        variance = targets.var(dim=-2, correction=0)
        return (1 - (outputs.double() - targets).square() / variance).mean(dim=-1)
