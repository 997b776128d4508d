"""What a trained network is worth on test images."""

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from recurrent_cells.errors import UserError
from recurrent_cells.inference.held_out import HeldOut
from recurrent_cells.inference.trained import Trained
from recurrent_cells.training.statistics import Tally, correct_by_step

BINS = 15
Z_95 = 1.959964  # of the normal distribution, two-sided


@dataclass(frozen=True)
class ClassScore:
    """Of the images of a class how many were found, of those given its name how many are of it.

    `precision` is None for a class that is never answered, `recall` for one without images.
    """

    label: int
    count: int
    precision: float | None
    recall: float | None


@dataclass(frozen=True)
class Bin:
    """Images whose answer has a probability in (low, high]: how sure the network is of them, and how often right."""

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
        accuracy_by_step: after each row (or column) read; None where `no_steps` says why there is none.
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


def evaluate(trained: Trained, held_out: HeldOut) -> Evaluation:
    """Ask the network about every image, `data.eval_batch_size` at a time."""
    tally, answers = Tally(), []
    size = trained.config.data.eval_batch_size
    labels = torch.from_numpy(held_out.labels.astype(np.int64))
    for start in range(0, len(labels), size):
        with torch.inference_mode():
            logits = trained.classifier(trained.sequences(held_out.images[start : start + size]))
        tally.add(logits, labels[start : start + size])
        answers.append(logits if logits.dim() == 2 else logits[:, -1])
    error, bins = calibration(torch.cat(answers), labels)
    by_step, reason = _accuracy_by_step(trained, held_out.images, labels, size)
    return Evaluation(
        run_id=trained.record.run_id,
        name=trained.record.name,
        data=held_out.name,
        count=len(labels),
        loss=tally.loss,
        accuracy=tally.accuracy,
        interval=wilson(tally.accuracy, len(labels)),
        recorded=trained.record.test if held_out.is_own else None,
        classes=class_scores(tally.confusion),
        confusion=tally.confusion,
        calibration_error=error,
        reliability=bins,
        accuracy_by_step=by_step,
        no_steps=reason,
        warning=held_out.warning,
    )


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


def class_scores(confusion: list[list[int]]) -> list[ClassScore]:
    """Precision and recall of every class, from rows of labels and columns of answers (C, C)."""
    scores = []
    for label, row in enumerate(confusion):
        answered, right = sum(other[label] for other in confusion), row[label]
        scores.append(
            ClassScore(label, sum(row), right / answered if answered else None, right / sum(row) if any(row) else None)
        )
    return scores


def calibration(logits: Tensor, labels: Tensor, bins: int = BINS) -> tuple[float, list[Bin]]:
    """Expected calibration error and the bins that hold images, from logits (N, C) and labels (N,)."""
    confidence, answers = logits.double().softmax(dim=1).max(dim=1)
    right = (answers == labels).double()
    places = (confidence * bins).ceil().long().clamp(1, bins) - 1
    found = []
    for place in places.unique().tolist():
        inside = places == place
        found.append(
            Bin(
                low=place / bins,
                high=(place + 1) / bins,
                count=int(inside.sum()),
                confidence=float(confidence[inside].mean()),
                accuracy=float(right[inside].mean()),
            )
        )
    error = sum(it.count * abs(it.accuracy - it.confidence) for it in found) / len(labels)
    return error, found


def _accuracy_by_step(
    trained: Trained, images: NDArray[np.uint8], labels: Tensor, size: int
) -> tuple[list[float] | None, str]:
    """Accuracy after 1 … T steps, or None and the reason why a network has none."""
    correct: Tensor | int = 0
    try:
        for start in range(0, len(labels), size):
            logits = trained.logits_by_step(images[start : start + size])
            correct += correct_by_step(logits, labels[start : start + size])
    except UserError as error:
        return None, str(error)
    assert isinstance(correct, Tensor)
    return [count / len(labels) for count in correct.tolist()], ""
