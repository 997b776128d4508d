"""One or several numbers for a sequence."""

import torch
from torch import Tensor

from recurrent_cells.tasks import CLASSES, Targets, Task
from recurrent_cells.tasks.classification import in_full_precision


class Regression(Task):
    """The mean squared error of the answer after the last step, in deviations of the training targets.

    A network answers in these deviations from their mean, as inputs are normalised; what counts, and all metrics, are
    in the unit of the targets. A loss of 1 is that of answering the mean.
    """

    name, metric, further = "regression", "mse", ("mae", "r2")

    def __init__(self, targets: Targets = CLASSES) -> None:
        super().__init__(targets)
        self._units: dict[tuple[torch.device, torch.dtype], Tensor] = {}

    def loss(self, outputs: Tensor, targets: Tensor, lengths: Tensor | None = None) -> Tensor:
        outputs = in_full_precision(outputs)
        offset, scale = self._unit(outputs)
        return (outputs - (_like(targets, outputs) - offset) / scale).square().mean(dim=(-2, -1))

    def final(self, outputs: Tensor, lengths: Tensor | None = None) -> Tensor:
        outputs = in_full_precision(outputs)
        offset, scale = self._unit(outputs)
        return outputs * scale + offset

    def outcomes(self, answers: Tensor, targets: Tensor) -> Tensor:
        return self.judge(answers, _like(targets, answers))

    def beside(self, answers: Tensor, targets: Tensor) -> dict[str, float]:
        return super().beside(answers, _like(targets, answers))

    def _unit(self, outputs: Tensor) -> Tensor:
        """Offset and scale, (2, O); copied once to each device, which a graph could not do."""
        key = outputs.device, outputs.dtype
        if key not in self._units:
            self._units[key] = outputs.new_tensor([self.targets.offset or (0.0,), self.targets.scale or (1.0,)])
        return self._units[key]


def _like(targets: Tensor, answers: Tensor) -> Tensor:
    """Numbers (…, B) or (…, B, O) as (…, B, O)."""
    return targets if targets.dim() == answers.dim() else targets.unsqueeze(-1)
