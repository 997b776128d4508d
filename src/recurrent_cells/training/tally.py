"""What the answers to a split come to, batch by batch, kept on the device until it is asked for."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from recurrent_cells.tasks import Task


class Tally:
    """Mean loss and metric of each of K networks over the batches of a split."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._count = 0
        self._losses: Tensor | float = 0.0
        self._scores: Tensor | float = 0.0

    def add(self, outputs: Tensor, targets: Tensor, *lengths: Tensor) -> None:
        """Outputs ([K,] B, C) or ([K,] B, T, C), with targets (B, …) and lengths (B,) that the networks share."""
        networks = outputs.shape[: outputs.dim() - (3 if self._task.every_step else 2)]
        wanted = [it.expand(*networks, *it.shape) for it in (targets, *lengths)]
        self._count += len(targets)
        self._losses += self._task.loss(outputs, *wanted).double().reshape(-1) * len(targets)
        scores = self._task.scores(outputs, *wanted).sum(dim=-2)  # ([K,] T')
        self._scores += scores.view(-1, scores.shape[-1])

    @property
    def losses(self) -> list[float]:
        """The mean loss of each network."""
        assert isinstance(self._losses, Tensor)
        return [loss / self._count for loss in self._losses.tolist()]

    @property
    def scores(self) -> list[list[float]]:
        """The metric of each network after each of its answers; the last counts."""
        assert isinstance(self._scores, Tensor)
        return [[score / self._count for score in row] for row in self._scores.tolist()]


class Answers:
    """All answers of a network that count, with their targets."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._parts: list[tuple[Tensor, Tensor]] = []

    def add(self, outputs: Tensor, targets: Tensor, *lengths: Tensor) -> None:
        """Outputs (B, C) or (B, T, C), with targets (B, …) and lengths (B,)."""
        self._parts.append((self._task.final(outputs, *lengths), targets))

    @property
    def all(self) -> tuple[Tensor, Tensor]:
        answers, targets = zip(*self._parts, strict=True)
        return torch.cat(answers), torch.cat(targets)

    @property
    def outcomes(self) -> NDArray[np.float32]:
        """The metric of each sequence, (N,)."""
        return np.asarray(self._task.outcomes(*self.all).float().cpu().numpy())

    @property
    def confusion(self) -> list[list[int]]:
        """How often each class (rows) was taken for each (columns), where one is asked for."""
        logits, labels = self.all
        num_classes, asked = logits.shape[-1], labels >= 0
        pairs = labels[asked] * num_classes + logits.argmax(dim=-1)[asked]
        rows: list[list[int]] = pairs.bincount(minlength=num_classes**2).view(num_classes, num_classes).tolist()
        return rows

    @property
    def numbers(self) -> tuple[NDArray[np.float32], NDArray[np.float32]] | None:
        """Answers and targets (N, O); None where there is not a number for each answer."""
        answers, targets = (it.float().cpu().numpy() for it in self.all)
        targets = targets.reshape(len(targets), -1)
        return (answers, targets) if answers.shape == targets.shape else None


class Hardest:
    """The sequences whose labels were thought least likely."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._seen = 0
        self._kept: list[Tensor] = []  # label probability, index, answer, answer's probability: each (count,)

    def add(self, logits: Tensor, labels: Tensor) -> None:
        """Logits (B, C), labels (B,)."""
        probabilities = logits.double().softmax(dim=1)
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
        """Hardest first: index, answer, its probability, the label's probability; empty if none was added."""
        if not self._kept:
            return []
        of_labels, indices, answers, of_answers = (values.tolist() for values in self._kept)
        return list(zip(indices, answers, of_answers, of_labels, strict=True))
