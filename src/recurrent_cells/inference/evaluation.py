"""What a trained network is worth on test examples."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from recurrent_cells.data.splits import as_tensor
from recurrent_cells.errors import UserError
from recurrent_cells.inference.held_out import HeldOut
from recurrent_cells.inference.trained import Trained
from recurrent_cells.statistics.comparisons import share_interval

BINS = 15


@dataclass(frozen=True)
class ClassScore:
    """Precision and recall of a class, of which there are `count` examples, or steps where each has a class.

    `precision` is None for a class that is never answered, `recall` for one without examples.
    """

    label: int
    name: str
    count: int
    precision: float | None
    recall: float | None


@dataclass(frozen=True)
class Bin:
    """Examples whose answer has a probability in (low, high]: its mean, and the share that is right."""

    low: float
    high: float
    count: int
    confidence: float
    accuracy: float


@dataclass(frozen=True)
class NumberScore:
    """Mean squared and absolute error of an output, and the share of the targets' variance that is explained.

    `r2` is None where all targets are equal.
    """

    mse: float
    mae: float
    r2: float | None


@dataclass(frozen=True)
class Evaluation:
    """Scores of one network on one test set.

    Args:
        recorded: the metric that the trial logged on its own test examples; None if these are others.
        metric: the name of that metric.
        no_steps: why there are no scores after each step read; empty where there are.
    """

    run_id: str
    name: str
    data: str
    count: int
    loss: float
    recorded: float | None
    metric: str
    no_steps: str
    warning: str


@dataclass(frozen=True)
class ClassEvaluation(Evaluation):
    """Scores of a network that answers with classes.

    Args:
        interval: 95 % interval of the accuracy over examples (Wilson 1927).
        confusion: rows are labels, columns answers.
        calibration_error: expected calibration error, over bins of equal width.
        reliability: the bins that hold examples.
        accuracy_by_step: after each step read.
    """

    accuracy: float
    interval: tuple[float, float]
    classes: list[ClassScore]
    confusion: list[list[int]]
    calibration_error: float
    reliability: list[Bin]
    accuracy_by_step: list[float] | None


@dataclass(frozen=True)
class NumberEvaluation(Evaluation):
    """Scores of a network that answers with numbers: means over its outputs, and those of each.

    Args:
        mse_by_step: after each step read.
    """

    mse: float
    mae: float
    r2: float | None
    outputs: list[NumberScore]
    mse_by_step: list[float] | None


@torch.inference_mode()
def evaluate(trained: Trained, held_out: HeldOut) -> ClassEvaluation | NumberEvaluation:
    """The scores of a network on test examples, `data.eval_batch_size` of them at a time."""
    targets, size = as_tensor(held_out.targets), trained.config.data.eval_batch_size
    values = [held_out.values[start : start + size] for start in range(0, len(targets), size)]
    loss, finals = 0.0, []
    for batch, wanted in zip(values, targets.split(size), strict=True):
        outputs, *lengths = trained.outputs(batch)
        loss += float(trained.task.loss(outputs, wanted, *lengths)) * len(wanted) / len(targets)
        finals.append(trained.task.final(outputs, *lengths))
    by_step, no_steps = None, ""
    try:
        by_step = _by_step(trained, values, targets)
    except UserError as refusal:
        no_steps = str(refusal)
    common = Evaluation(
        run_id=trained.record.run_id,
        name=trained.record.name,
        data=held_out.name,
        count=len(targets),
        loss=loss,
        recorded=trained.record.test if held_out.is_own else None,
        metric=trained.record.metric,
        no_steps=no_steps,
        warning=held_out.warning,
    )
    if trained.task.has_classes:
        return _of_classes(vars(common), torch.cat(finals), targets, trained.names, by_step)
    return _of_numbers(vars(common), torch.cat(finals), targets, by_step)


def _by_step(trained: Trained, values: Sequence[NDArray[Any]], targets: Tensor) -> list[float]:
    """Accuracy or mean squared error after each step read; raises UserError where there is none."""
    if trained.task.has_classes and targets.dim() > 1:
        raise UserError("each step has a class of its own, there is no answer to the sequence")
    outputs = torch.cat([trained.logits_by_step(batch) for batch in values])
    if trained.task.has_classes:
        return _accuracy(outputs.argmax(dim=-1), targets.unsqueeze(1)).tolist()
    return (_as_columns(targets).unsqueeze(1) - outputs.double()).square().mean(dim=(0, 2)).tolist()


def _of_classes(
    common: dict[str, Any], logits: Tensor, labels: Tensor, names: Sequence[str], by_step: list[float] | None
) -> ClassEvaluation:
    """The scores of logits (N, C) for labels (N,), or (N, T, C) for (N, T)."""
    classes, asked, answers = len(names), labels >= 0, logits.argmax(dim=-1)
    if labels.dim() == 1:
        accuracy = _accuracy(answers, labels).item()
    else:
        accuracy = ((answers == labels) & asked).sum(dim=1).double().div(asked.sum(dim=1)).nanmean().item()
    pairs = labels[asked] * classes + answers[asked]
    confusion = pairs.bincount(minlength=classes**2).view(classes, classes)
    error, bins = calibration(logits[asked], labels[asked])
    return ClassEvaluation(
        **common,
        accuracy=accuracy,
        interval=share_interval(accuracy, len(labels)),
        classes=class_scores(confusion, names),
        confusion=confusion.tolist(),
        calibration_error=error,
        reliability=bins,
        accuracy_by_step=by_step,
    )


def _of_numbers(
    common: dict[str, Any], answers: Tensor, targets: Tensor, by_step: list[float] | None
) -> NumberEvaluation:
    """The scores of numbers (N, O) for targets (N,) or (N, O)."""
    targets = _as_columns(targets)
    errors = targets - answers.double()
    mse, mae = errors.square().mean(dim=0), errors.abs().mean(dim=0)
    variance = targets.var(dim=0, correction=0)
    outputs = [
        NumberScore(squared, absolute, 1 - squared / spread if spread else None)
        for squared, absolute, spread in torch.stack([mse, mae, variance], dim=1).tolist()
    ]
    explained = [score.r2 for score in outputs if score.r2 is not None]
    return NumberEvaluation(
        **common,
        mse=mse.mean().item(),
        mae=mae.mean().item(),
        r2=sum(explained) / len(explained) if explained else None,
        outputs=outputs,
        mse_by_step=by_step,
    )


def _as_columns(targets: Tensor) -> Tensor:
    """Numbers (N,) or (N, O) as (N, O)."""
    return targets.double().view(len(targets), -1)


def _accuracy(answers: Tensor, labels: Tensor) -> Tensor:
    """The share of right answers over the first axis: both (N, …) → (…)."""
    return (answers == labels).double().mean(dim=0)


def as_json(evaluation: Evaluation) -> dict[str, Any]:
    """Plain values; a score that is not finite becomes null, in lists it stays."""
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in asdict(evaluation).items()
    }


def class_scores(confusion: Tensor, names: Sequence[str]) -> list[ClassScore]:
    """Precision and recall of every class, from rows of labels and columns of answers (C, C)."""
    counts, answered, right = confusion.sum(dim=1), confusion.sum(dim=0), confusion.diagonal()
    return [
        ClassScore(label, names[label], count, found / given if given else None, found / count if count else None)
        for label, (count, given, found) in enumerate(torch.stack([counts, answered, right], dim=1).tolist())
    ]


def calibration(logits: Tensor, labels: Tensor, bins: int = BINS) -> tuple[float, list[Bin]]:
    """Expected calibration error and the bins that hold examples, from logits (N, C) and labels (N,)."""
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
