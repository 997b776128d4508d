"""What a trained network is worth on test images."""

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from recurrent_cells.errors import UserError
from recurrent_cells.inference.held_out import HeldOut
from recurrent_cells.inference.trained import Trained

BINS = 15
Z_95 = 1.959964  # of the normal distribution, two-sided


@dataclass(frozen=True)
class ClassScore:
    """Precision and recall of a class, `count` images of which there are.

    `precision` is None for a class that is never answered, `recall` for one without images.
    """

    label: int
    count: int
    precision: float | None
    recall: float | None


@dataclass(frozen=True)
class Bin:
    """Images whose answer has a probability in (low, high]: its mean, and the share that is right."""

    low: float
    high: float
    count: int
    confidence: float
    accuracy: float


@dataclass(frozen=True)
class Evaluation:
    """Scores of one network on one test set.

    Args:
        interval: 95 % interval of the accuracy over images (Wilson 1927).
        recorded: the accuracy that the trial logged on its own test images; None if these are others.
        confusion: rows are labels, columns answers.
        calibration_error: expected calibration error, over bins of equal width.
        reliability: the bins that hold images.
        accuracy_by_step: after each row (or column) read; None where there is none, for the reason `no_steps`.
    """

    run_id: str
    name: str
    data: str
    count: int
    loss: float
    accuracy: float
    interval: tuple[float, float]
    recorded: float | None
    classes: list[ClassScore]
    confusion: list[list[int]]
    calibration_error: float
    reliability: list[Bin]
    accuracy_by_step: list[float] | None
    no_steps: str
    warning: str


@torch.inference_mode()
def evaluate(trained: Trained, held_out: HeldOut) -> Evaluation:
    """The scores of a network on test images, `data.eval_batch_size` of them at a time.

    Raises:
        UserError: if the network's answers are no classes.
    """
    trained.check_classes()
    labels = torch.from_numpy(held_out.labels.astype(np.int64))
    count, classes, size = len(labels), trained.num_classes, trained.config.data.eval_batch_size
    batches = [held_out.images[start : start + size] for start in range(0, count, size)]
    loss, finals = 0.0, []
    for images, targets in zip(batches, labels.split(size), strict=True):
        outputs = trained.classifier(trained.sequences(images))
        loss += float(trained.task.loss(outputs, targets)) * len(targets) / count
        finals.append(trained.task.final(outputs))
    logits = torch.cat(finals)
    accuracy = _accuracy(logits.argmax(dim=1), labels).item()
    confusion = (labels * classes + logits.argmax(dim=1)).bincount(minlength=classes**2).view(classes, classes)
    error, bins = calibration(logits, labels)
    by_step, no_steps = None, ""
    try:
        answers = torch.cat([trained.logits_by_step(images).argmax(dim=-1) for images in batches])
        by_step = _accuracy(answers, labels.unsqueeze(1)).tolist()
    except UserError as refusal:
        no_steps = str(refusal)
    return Evaluation(
        run_id=trained.record.run_id,
        name=trained.record.name,
        data=held_out.name,
        count=count,
        loss=loss,
        accuracy=accuracy,
        interval=wilson(accuracy, count),
        recorded=trained.record.test if held_out.is_own else None,
        classes=class_scores(confusion),
        confusion=confusion.tolist(),
        calibration_error=error,
        reliability=bins,
        accuracy_by_step=by_step,
        no_steps=no_steps,
        warning=held_out.warning,
    )


def _accuracy(answers: Tensor, labels: Tensor) -> Tensor:
    """The share of right answers over the first axis: both (N, …) → (…)."""
    return (answers == labels).double().mean(dim=0)


def as_json(evaluation: Evaluation) -> dict[str, Any]:
    """Plain values; a number that is not finite becomes null."""
    content = asdict(evaluation)
    return content if math.isfinite(evaluation.loss) else content | {"loss": None}


def wilson(accuracy: float, count: int) -> tuple[float, float]:
    """The 95 % interval of a proportion of `count` (Wilson 1927)."""
    weight = Z_95**2 / count
    middle = (accuracy + weight / 2) / (1 + weight)
    half = Z_95 * math.sqrt(accuracy * (1 - accuracy) / count + weight / (4 * count)) / (1 + weight)
    return max(0.0, middle - half), min(1.0, middle + half)


def class_scores(confusion: Tensor) -> list[ClassScore]:
    """Precision and recall of every class, from rows of labels and columns of answers (C, C)."""
    counts, answered, right = confusion.sum(dim=1), confusion.sum(dim=0), confusion.diagonal()
    return [
        ClassScore(label, count, found / given if given else None, found / count if count else None)
        for label, (count, given, found) in enumerate(torch.stack([counts, answered, right], dim=1).tolist())
    ]


def calibration(logits: Tensor, labels: Tensor, bins: int = BINS) -> tuple[float, list[Bin]]:
    """Expected calibration error and the bins that hold images, from logits (N, C) and labels (N,)."""
    confidence, answers = logits.double().softmax(dim=1).max(dim=1)
    right = (answers == labels).double()
    places = (confidence * bins).ceil().long().clamp(1, bins) - 1
    found = []
    for place in places.unique().tolist():
        inside = places == place
        mean, accuracy = float(confidence[inside].mean()), float(right[inside].mean())
        found.append(Bin(place / bins, (place + 1) / bins, int(inside.sum()), mean, accuracy))
    error = sum(it.count * abs(it.accuracy - it.confidence) for it in found) / len(labels)
    return error, found
