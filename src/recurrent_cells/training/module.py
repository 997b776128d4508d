"""One trial as a LightningModule: many optimiser steps per training_step, evaluation, the best weights."""

from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from recurrent_cells.config.schema import Config
from recurrent_cells.training.datamodule import SequenceDataModule
from recurrent_cells.training.optimizer import build_optimizer
from recurrent_cells.training.progress import Progress
from recurrent_cells.training.schedule import Schedule
from recurrent_cells.training.statistics import Hardest, Tally
from recurrent_cells.training.step import TrainStep
from recurrent_cells.training.window import Stopwatch, TrainWindow

# How many of the test images that were hardest for it a trial keeps.
HARDEST = 12


class TrialModule(pl.LightningModule):
    """Trains a classifier by its config, counting its own steps.

    Every random draw is a function of the seed and the step, and Lightning's loops hold nothing that training
    depends on: `trial_state` is all there is to resume from.

    A batch of `training_step` is a pair (start, stop) of steps; those of `validation_step` and `test_step` are
    sequences (B, T, F) with labels (B,).
    """

    def __init__(self, config: Config, classifier: nn.Module, schedule: Schedule) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.config = config
        self.classifier = classifier
        self.schedule = schedule
        self.progress = Progress(config, schedule, self._log)
        self.best_weights: dict[str, Tensor] = {}
        self.tally = Tally()
        self.hardest = Hardest(HARDEST)
        self._window = TrainWindow()
        self._stopwatch = Stopwatch()
        self._resume_from: dict[str, Any] | None = None

    def forward(self, x: Tensor) -> Tensor:
        """Sequences (B, T, F) → logits (B, C) or (B, T, C)."""
        logits: Tensor = self.classifier(x)
        return logits

    def configure_optimizers(self) -> Optimizer:
        return build_optimizer(self.config.optimizer, self.classifier.parameters())

    @property
    def step(self) -> int:
        return self.progress.step

    @property
    def data(self) -> SequenceDataModule:
        datamodule = self.trainer.datamodule  # type: ignore[attr-defined]
        assert isinstance(datamodule, SequenceDataModule)
        return datamodule

    @property
    def optimizer(self) -> Optimizer:
        return self.trainer.strategy.optimizers[0]

    @property
    def scaler(self) -> torch.amp.GradScaler | None:
        return getattr(self.trainer.precision_plugin, "scaler", None)

    # --- training -----------------------------------------------------------------------------------------

    def training_step(self, chunk: tuple[int, int], batch_idx: int) -> None:
        start, stop = chunk
        steps, batch_size = stop - start, self.data.batches.batch_size
        with self._stopwatch:
            sequences, labels = self.data.batches(start, stop)
            take_step, losses, answers, norms = self._take_step, [], [], []
            for step, x, y in zip(
                range(start, stop), sequences.split(batch_size), labels.split(batch_size), strict=True
            ):
                loss, logits, norm = take_step(step, x, y)
                losses.append(loss)
                answers.append(logits if logits.dim() == 2 else logits[:, -1])
                norms.append(norm)
            right = (torch.cat(answers).argmax(dim=1) == labels).view(steps, batch_size).sum(dim=1)
            grad_norms = torch.stack([norm for norm in norms if norm is not None]) if norms[0] is not None else None
            self._window.add(torch.stack(losses), right, grad_norms, batch_size)
        self._stopwatch.steps += steps
        self.progress.step = stop
        if self.schedule.is_logged(stop):
            (means,) = self._window.read(self.config.trainer.log_train == "batch")
            self.progress.log_training(*means, self._window.steps)
            self._window.reset()

    # --- evaluation ---------------------------------------------------------------------------------------

    def on_validation_epoch_start(self) -> None:
        self.tally = Tally()

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        sequences, labels = batch
        self.tally.add(self.classifier(sequences), labels)

    def on_validation_epoch_end(self) -> None:
        seconds, steps = self._stopwatch.lap()
        if self.progress.log_evaluation(self.tally.loss, self.tally.accuracy_by_step, seconds, steps):
            self.best_weights = {name: it.detach().clone() for name, it in self.classifier.state_dict().items()}
        if self.trainer.state.fn == "fit" and self.progress.done:
            self.trainer.should_stop = True

    def use_best_weights(self) -> None:
        self.classifier.load_state_dict(self.best_weights)

    def on_test_epoch_start(self) -> None:
        self.tally = Tally()
        self.hardest = Hardest(HARDEST)

    def test_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        sequences, labels = batch
        logits = self.classifier(sequences)
        self.tally.add(logits, labels)
        self.hardest.add(logits, labels)

    def on_test_epoch_end(self) -> None:
        self.progress.log({"test/loss": self.tally.loss, "test/acc": self.tally.accuracy})
        if self.config.model.readout == "every":
            by_step = self.tally.accuracy_by_step
            self.progress.log({"test/acc_mean_over_steps": sum(by_step) / len(by_step)})
            for count, accuracy in enumerate(by_step, start=1):  # here x is the steps the network has read
                self._log({"test/acc_after_step": accuracy}, count)

    def _log(self, point: dict[str, float], step: int) -> None:
        assert self.logger is not None
        self.logger.log_metrics(point, step=step)

    # --- resuming -----------------------------------------------------------------------------------------

    def trial_state(self) -> dict[str, Any]:
        """All that training depends on, as tensors and plain values."""
        best = self.progress.best
        return self.progress.state_dict() | {
            "weights": self.classifier.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": None if self.scaler is None else self.scaler.state_dict(),
            "window": self._window.states()[0],
            "best": best and {"step": best.step, "accuracy": best.accuracy, "weights": self.best_weights},
        }

    def resume_from(self, state: dict[str, Any]) -> None:
        """Continue from a `trial_state`; the optimiser's part waits until the Trainer has built it."""
        self.progress.load_state_dict(state)
        self.classifier.to(next(iter(state["weights"].values())).dtype)  # the Trainer would convert it too late
        self.classifier.load_state_dict(state["weights"])
        if state["best"] is not None:
            self.best_weights = state["best"]["weights"]
        self._resume_from = state

    def on_fit_start(self) -> None:
        state, self._resume_from = self._resume_from, None
        if state is not None:
            self.optimizer.load_state_dict(state["optimizer"])
            if self.scaler is not None:
                self.scaler.load_state_dict(state["scaler"])
            self._window.load_states([state["window"]], self.device)
        rate = self.progress.learning_rate
        self._take_step = TrainStep(self.config, self.classifier, self.optimizer, self.scaler, rate)
