"""The LightningModule: a program's steps, its evaluations, and the test of a network."""

from collections.abc import Callable

import pytorch_lightning as pl
from torch import Tensor, nn
from torch.optim import Optimizer

from recurrent_cells.tasks import Task
from recurrent_cells.training.networks import SingleNetwork
from recurrent_cells.training.program import Program
from recurrent_cells.training.tally import Answers, Hardest, Tally

# How many of the test examples that were hardest for it a trial keeps.
HARDEST = 12


class TrialModule(pl.LightningModule):
    """Has Lightning run a program: many optimiser steps in a training step, one evaluation in a validation epoch.

    A batch of `training_step` is a pair (start, stop) of steps; those of `validation_step` and `test_step` are
    sequences (B, T, F) with targets (B,), and lengths (B,) where there are any. Lightning's loops hold nothing that
    training depends on.

    Args:
        program: what is trained and validated; a test needs a network alone, and a module of its own.

    Attributes:
        pause: is called between two steps where a member is asked to stop.
    """

    program: Program
    pause: Callable[[Program], None]

    def __init__(self, network: nn.Module, task: Task, program: Program | None = None) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.network = network
        self.task = task
        if program is not None:
            self.program = program
        self.tally, self.answers, self.hardest = Tally(task), Answers(task), Hardest(HARDEST)

    @property
    def step(self) -> int:
        return self.program.step

    def configure_optimizers(self) -> list[Optimizer]:
        networks = self.program.networks
        return [networks.optimizer] if isinstance(networks, SingleNetwork) else []

    def training_step(self, chunk: tuple[int, int], batch_idx: int) -> None:
        _, stop = chunk
        self.program.train(stop)
        while self.step < min(stop, self.program.schedule.total_steps):
            self.pause(self.program)
            self.program.train(stop)
        if self.program.schedule.is_logged(self.step):
            self.program.log_training()

    def on_validation_epoch_start(self) -> None:
        self.tally = Tally(self.task)

    def validation_step(self, batch: tuple[Tensor, ...], batch_idx: int) -> None:
        sequences, targets, *lengths = batch
        self.tally.add(self.program.outputs(sequences, *lengths), targets, *lengths)

    def on_validation_epoch_end(self) -> None:
        self.program.log_evaluation(self.tally)

    def test_step(self, batch: tuple[Tensor, ...], batch_idx: int) -> None:
        sequences, targets, *lengths = batch
        outputs = self.network(sequences, *lengths)
        self.tally.add(outputs, targets, *lengths)
        self.answers.add(outputs, targets, *lengths)
        if self.task.has_classes and not self.task.targets.of_steps:
            self.hardest.add(self.task.final(outputs, *lengths), targets)
