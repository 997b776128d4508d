"""The class of a sequence, asked for after every step."""

from torch import Tensor

from recurrent_cells.tasks import Task
from recurrent_cells.tasks.classification import cross_entropy


class PerStep(Task):
    """The mean cross-entropy of the answers after all steps; what counts is the last answer."""

    name, metric, has_classes, every_step = "per_step", "acc", True, True

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        targets = targets.unsqueeze(-1).expand(outputs.shape[:-1])
        return cross_entropy(outputs.flatten(-3, -2), targets.flatten(-2))
