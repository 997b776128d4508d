"""What is asked of sequences; a task is a file here."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

from torch import Tensor

from recurrent_cells.tables import METRICS, TASKS, Table
from recurrent_cells.tasks.metrics import Metric


@dataclass(frozen=True)
class Targets:
    """What a task knows of the targets it is trained on.

    Args:
        are_numbers: whether they are numbers rather than classes.
        of_steps: whether each step has a class of its own.
        offset, scale: mean and deviation of each of O numbers.
    """

    are_numbers: bool = False
    of_steps: bool = False
    offset: tuple[float, ...] = ()
    scale: tuple[float, ...] = ()

    @classmethod
    def of(cls, targets: Tensor) -> "Targets":
        """Of classes (N,), classes of each step (N, T), or numbers (N,) or (N, O)."""
        if not targets.is_floating_point():
            return cls(of_steps=targets.dim() == 2)
        numbers = targets.double().view(len(targets), -1)
        deviations = numbers.std(dim=0, correction=0)
        scale = deviations.where(deviations > 0, 1.0)
        return cls(are_numbers=True, offset=tuple(numbers.mean(dim=0).tolist()), scale=tuple(scale.tolist()))


CLASSES = Targets()


class Task(ABC):
    """A loss, and the metric by which networks are compared.

    B is the number of sequences and C that of outputs; leading dimensions (…) are those of networks that are trained
    together. Outputs are (…, B, C), or (…, B, T, C) of a network that answers after every step. Targets are (…, B), or
    (…, B, T) where each step has a class, or (…, B, O) numbers. `lengths` (…, B) are the valid steps of padded
    sequences; where all are valid they are None, or not given.
    """

    table: ClassVar[Table] = TASKS
    name: ClassVar[str]
    # the name of a metric: its best validation value chooses the checkpoint, the champion and what a search prefers
    metric: ClassVar[str]
    # the names of metrics that are taken of the test too
    further: ClassVar[tuple[str, ...]] = ()
    # whether targets are classes, of which each has an output
    has_classes: ClassVar[bool] = False
    # whether the network answers after every step (`model.readout=every`)
    every_step: ClassVar[bool] = False

    def __init__(self, targets: Targets = CLASSES) -> None:
        self.targets = targets

    @abstractmethod
    def loss(self, outputs: Tensor, targets: Tensor, lengths: Tensor | None = None) -> Tensor:
        """The mean loss of each network in at least float32, (…)."""

    @cached_property
    def judge(self) -> Metric:
        """The metric."""
        judge: Metric = METRICS[self.metric]()
        return judge

    def final(self, outputs: Tensor, lengths: Tensor | None = None) -> Tensor:
        """The answers that count: (…, B, C), or (…, B, T, C) where each step has a target."""
        return outputs

    def outcomes(self, answers: Tensor, targets: Tensor) -> Tensor:
        """The metric of each sequence, (…, B), from the answers that count."""
        return self.judge(answers, targets)

    def scores(self, outputs: Tensor, targets: Tensor, lengths: Tensor | None = None) -> Tensor:
        """The metric of each sequence after each of T' answers, (…, B, T'); the last are `outcomes`."""
        return self.outcomes(self.final(outputs, lengths), targets).unsqueeze(-1)

    def beside(self, answers: Tensor, targets: Tensor) -> dict[str, float]:
        """Further metrics by name, from all answers of a test that count (N, …, C)."""
        return {name: float(METRICS[name]()(answers, targets).mean()) for name in self.further}


def task_of(name: str, readout: str, targets: Targets = CLASSES) -> Task:
    """The task of a name; `auto` is what targets and readout ask for: numbers, a class after every step, or a class."""
    if name == "auto" and targets.are_numbers:
        name = "regression"
    elif name == "auto":
        name = "per_step" if targets.of_steps or readout == "every" else "classification"
    task: Task = TASKS[name](targets)
    return task
