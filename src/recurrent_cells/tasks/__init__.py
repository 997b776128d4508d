"""What is asked of sequences; a task is a file here."""

from abc import ABC, abstractmethod
from functools import cached_property
from typing import ClassVar

from torch import Tensor

from recurrent_cells.tables import METRICS, TASKS, Table
from recurrent_cells.tasks.metrics import Metric


class Task(ABC):
    """A loss, and the metric by which networks are compared.

    B is the number of sequences and C that of outputs; leading dimensions (…) are those of networks that are trained
    together. Outputs are (…, B, C), or (…, B, T, C) of a network that answers after every step. `lengths` (…, B) are
    the valid steps of padded sequences; where all are valid they are None, or not given.
    """

    table: ClassVar[Table] = TASKS
    name: ClassVar[str]
    # the name of a metric: its best validation value chooses the checkpoint, the champion and what a search prefers
    metric: ClassVar[str]
    # whether targets are classes, of which each has an output
    has_classes: ClassVar[bool] = False
    # whether the network answers after every step (`model.readout=every`)
    every_step: ClassVar[bool] = False

    def __init__(self, of_steps: bool = False) -> None:
        """`of_steps`: whether each step has a target of its own."""
        self.of_steps = of_steps

    @abstractmethod
    def loss(self, outputs: Tensor, targets: Tensor, lengths: Tensor | None = None) -> Tensor:
        """The mean loss of each network in at least float32: outputs and targets (…, B) → (…)."""

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


def task_of(name: str, readout: str) -> Task:
    """The task of a name; `auto` is classification, at every step where the readout is `every`."""
    if name == "auto":
        name = "per_step" if readout == "every" else "classification"
    task: Task = TASKS[name]()
    return task
