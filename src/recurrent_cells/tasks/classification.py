"""One class for a sequence."""

import torch.nn.functional as F
from torch import Tensor

from recurrent_cells.tasks import Task


class Classification(Task):
    """Cross-entropy of the answer after the last step."""

    name, metric, has_classes = "classification", "acc", True

    def loss(self, outputs: Tensor, targets: Tensor, lengths: Tensor | None = None) -> Tensor:
        return cross_entropy(outputs, targets)


def cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """The mean cross-entropy of each network: logits (…, B, C), targets (…, B) → (…)."""
    logits = in_full_precision(logits)
    if logits.dim() == 2:
        return F.cross_entropy(logits, targets)
    losses = F.cross_entropy(logits.flatten(0, -2), targets.flatten(), reduction="none")
    return losses.view(targets.shape).mean(dim=-1)


def in_full_precision(outputs: Tensor) -> Tensor:
    """Outputs in at least float32."""
    return outputs if outputs.dtype.itemsize > 2 else outputs.float()
