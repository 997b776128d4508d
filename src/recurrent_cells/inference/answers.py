"""What a trained network answers, as classes with their probabilities or as numbers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from recurrent_cells.inference.trained import Trained
from recurrent_cells.models.network import lengths_of


@dataclass(frozen=True)
class Answer:
    """The likeliest class and the next, each with its probability."""

    label: int
    probability: float
    runner_up: int
    runner_up_probability: float


@dataclass(frozen=True)
class StepAnswers:
    """The likeliest class at each step with its probability, where each step has a class."""

    labels: list[int]
    probabilities: list[float]


@dataclass(frozen=True)
class Numbers:
    """The numbers asked for, (O,)."""

    values: list[float]


Answered = Answer | StepAnswers | Numbers


def ask(trained: Trained, values: NDArray[Any]) -> list[NDArray[np.float64]]:
    """What a network finds of each image or series (N, …): the probabilities of classes (C,), or of those of each step
    (T, C), or numbers (O,)."""
    outputs = trained.logits(values).double()
    found = list((outputs.softmax(dim=-1) if trained.task.has_classes else outputs).numpy())
    if outputs.dim() == 3 and trained.network.has_lengths:
        return [it[:length] for it, length in zip(found, lengths_of(torch.from_numpy(values)).tolist(), strict=True)]
    return found


def answer(trained: Trained, found: NDArray[np.float64]) -> Answered:
    """The answer to an image or a series from what `ask` found of it; of equally likely classes the first."""
    if not trained.task.has_classes:
        return Numbers(found.tolist())
    if found.ndim == 2:
        return StepAnswers(found.argmax(axis=1).tolist(), found.max(axis=1).tolist())
    first, second = np.argsort(-found, kind="stable")[:2]
    return Answer(int(first), float(found[first]), int(second), float(found[second]))


def as_json(answer: Answered, class_names: Sequence[str] | None) -> dict[str, Any]:
    """An answer as plain values, with the names of classes where these have any."""
    values: dict[str, Any] = dict(vars(answer))
    if class_names is not None and isinstance(answer, Answer):
        values |= {"name": class_names[answer.label], "runner_up_name": class_names[answer.runner_up]}
    if class_names is not None and isinstance(answer, StepAnswers):
        values |= {"names": [class_names[label] for label in answer.labels]}
    return values


def in_words(answer: Answered, names: Sequence[str]) -> str:
    """An answer in a line."""
    if isinstance(answer, Numbers):
        return ", ".join(f"{value:.6g}" for value in answer.values)
    if isinstance(answer, StepAnswers):
        return " ".join(names[label] for label in answer.labels)
    line = f"{names[answer.label]} ({answer.probability:.1%})"
    return line + f", or {names[answer.runner_up]} ({answer.runner_up_probability:.1%})"
