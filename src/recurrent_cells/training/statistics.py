"""Loss and accuracy of logits, for one answer per sequence or one per step."""

import torch
import torch.nn.functional as F
from torch import Tensor


def sequence_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean cross-entropy in at least float32: logits (B, C) or (B, T, C), labels (B,)."""
    if logits.dtype in (torch.float16, torch.bfloat16):
        logits = logits.float()
    if logits.dim() == 3:
        labels = labels.unsqueeze(1).expand(-1, logits.shape[1]).flatten()
        logits = logits.flatten(0, 1)
    return F.cross_entropy(logits, labels)


def correct_by_step(logits: Tensor, labels: Tensor) -> Tensor:
    """How many sequences are right after each step: logits (B, C) → (1,), logits (B, T, C) → (T,)."""
    if logits.dim() == 2:
        logits = logits.unsqueeze(1)
    return (logits.argmax(dim=2) == labels.unsqueeze(1)).sum(dim=0)


class Tally:
    """Sums of loss and right answers over batches, kept on the device until they are asked for."""

    def __init__(self) -> None:
        self.count = 0
        self._loss: Tensor | float = 0.0
        self._correct: Tensor | int = 0
        self._confusion: Tensor | int = 0

    def add(self, logits: Tensor, labels: Tensor) -> None:
        self.count += len(labels)
        self._loss += sequence_loss(logits, labels).double() * len(labels)
        self._correct += correct_by_step(logits, labels)
        last = logits if logits.dim() == 2 else logits[:, -1]
        num_classes = last.shape[1]
        pairs = labels * num_classes + last.argmax(dim=1)
        self._confusion += torch.bincount(pairs, minlength=num_classes**2).view(num_classes, num_classes)

    @property
    def loss(self) -> float:
        return float(self._loss) / self.count

    @property
    def accuracy(self) -> float:
        """At the last step."""
        return self.accuracy_by_step[-1]

    @property
    def accuracy_by_step(self) -> list[float]:
        assert isinstance(self._correct, Tensor)
        return [correct / self.count for correct in self._correct.tolist()]

    @property
    def confusion(self) -> list[list[int]]:
        """Rows are labels, columns answers at the last step."""
        assert isinstance(self._confusion, Tensor)
        rows: list[list[int]] = self._confusion.tolist()
        return rows


class Hardest:
    """The sequences whose labels were thought least likely, kept on the device until they are asked for."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._seen = 0
        self._kept: list[Tensor] = []  # label probability, index, answer, answer's probability: each (count,)

    def add(self, logits: Tensor, labels: Tensor) -> None:
        last = logits if logits.dim() == 2 else logits[:, -1]
        probabilities = last.double().softmax(dim=1)
        of_labels = probabilities.gather(1, labels.unsqueeze(1)).squeeze(1)
        of_answers, answers = probabilities.max(dim=1)
        indices = torch.arange(self._seen, self._seen + len(labels), device=labels.device)
        new = [of_labels, indices, answers, of_answers]
        found = [torch.cat(pair) for pair in zip(self._kept, new, strict=True)] if self._kept else new
        hardest = found[0].topk(min(self._count, len(found[0])), largest=False, sorted=True).indices
        self._kept = [values[hardest] for values in found]
        self._seen += len(labels)

    @property
    def found(self) -> list[tuple[int, int, float, float]]:
        """Hardest first: index, answer, its probability, the label's probability."""
        of_labels, indices, answers, of_answers = (values.tolist() for values in self._kept)
        return list(zip(indices, answers, of_answers, of_labels, strict=True))
