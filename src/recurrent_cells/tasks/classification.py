"""One class for a sequence."""

from itertools import islice

import torch.nn.functional as F
from torch import Tensor

from recurrent_cells.lengths import NOT_ASKED
from recurrent_cells.tasks import Task

# Classes of which the largest has so many times the examples of the smallest are uneven.
UNEVEN = 2
MOST_RECALLS = 50


class Classification(Task):
    """Cross-entropy of the answer after the last step.

    Where the test examples of classes are uneven, the balanced accuracy is taken too, and the recall of each class.
    """

    name, metric, further, has_classes = "classification", "acc", ("balanced_acc",), True

    def loss(self, outputs: Tensor, targets: Tensor, lengths: Tensor | None = None) -> Tensor:
        return cross_entropy(outputs, targets)

    def beside(self, answers: Tensor, targets: Tensor) -> dict[str, float]:
        asked = targets != NOT_ASKED
        answers, targets = answers[asked], targets[asked]
        classes, places, counts = targets.unique(return_inverse=True, return_counts=True)
        if counts.max() < UNEVEN * counts.min():
            return {}
        right = places[answers.argmax(dim=-1) == targets].bincount(minlength=len(classes))
        recalls = zip(classes.tolist(), (right.double() / counts).tolist(), strict=True)
        shown = {f"recall_{label}": recall for label, recall in islice(recalls, MOST_RECALLS)}
        return super().beside(answers, targets) | shown


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
