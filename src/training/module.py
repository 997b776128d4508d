"""One trial as a LightningModule: many optimiser steps per training_step, evaluation, the best weights."""

import math
import time
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from src.config import Config
from src.data.datamodule import SequenceDataModule
from src.errors import TrialError
from src.seeds import derive
from src.training.optimizer import build_optimizer, clip_gradients, set_learning_rate
from src.training.schedule import Schedule, learning_rate
from src.training.statistics import Hardest, Tally, sequence_loss
from src.training.window import Stopwatch, TrainWindow

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
        self.step = 0
        self.best: dict[str, Any] | None = None
        self.evaluations_since_best = 0
        self.latest: dict[str, float] = {}
        self._started = time.monotonic()
        self.tally = Tally()
        self.hardest = Hardest(HARDEST)
        self._window = TrainWindow()
        self._stopwatch = Stopwatch()
        self._resume_from: dict[str, Any] | None = None
        self._constant_lr = config.optimizer.schedule == "none" and config.optimizer.warmup_steps == 0
        self._drops_out = config.model.dropout > 0 or config.model.output_dropout > 0

    def forward(self, x: Tensor) -> Tensor:
        """Sequences (B, T, F) → logits (B, C) or (B, T, C)."""
        logits: Tensor = self.classifier(x)
        return logits

    def configure_optimizers(self) -> Optimizer:
        return build_optimizer(self.config.optimizer, self.classifier.parameters())

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

    @property
    def done(self) -> bool:
        patience = self.config.trainer.early_stopping
        gave_up = patience is not None and self.evaluations_since_best >= patience
        return gave_up or self.step >= self.schedule.total_steps

    # --- training -----------------------------------------------------------------------------------------

    def training_step(self, chunk: tuple[int, int], batch_idx: int) -> None:
        start, stop = chunk
        steps, batch_size = stop - start, self.data.batches.batch_size
        with self._stopwatch:
            sequences, labels = self.data.batches(start, stop)
            losses, answers, norms = [], [], []
            for step, x, y in zip(
                range(start, stop), sequences.split(batch_size), labels.split(batch_size), strict=True
            ):
                loss, logits, norm = self._update(step, x, y)
                losses.append(loss)
                answers.append(logits if logits.dim() == 2 else logits[:, -1])
                norms.append(norm)
            right = (torch.cat(answers).argmax(dim=1) == labels).view(steps, batch_size).sum(dim=1)
            grad_norms = torch.stack([norm for norm in norms if norm is not None]) if norms[0] is not None else None
            self._window.add(torch.stack(losses), right, grad_norms, batch_size)
        self._stopwatch.steps += steps
        self.step = stop
        if stop % self.schedule.log_every == 0 or stop == self.schedule.total_steps:
            self._log_training()

    def _update(self, step: int, sequences: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """One optimiser step; its loss, logits and, if they are clipped, the norm of the gradients."""
        optimizer, scaler = self.optimizer, self.scaler
        if self._drops_out:
            self._reseed(step)
        if not self._constant_lr:
            set_learning_rate(optimizer, self._learning_rate(step))
        logits = self.classifier(sequences)
        loss = sequence_loss(logits, labels)
        (loss if scaler is None else scaler.scale(loss)).backward()
        if scaler is not None:
            scaler.unscale_(optimizer)
        clip_norm = self.config.optimizer.clip_norm
        norm = None if clip_norm is None else clip_gradients(self.classifier.parameters(), clip_norm)
        if scaler is None:
            optimizer.step()
        else:
            scaler.step(optimizer)
            scaler.update()
        optimizer.zero_grad()
        return loss.detach(), logits.detach(), norm

    def _learning_rate(self, step: int) -> float:
        return learning_rate(self.config.optimizer, step, self.schedule.total_steps)

    def _reseed(self, step: int) -> None:
        seed = derive(self.config.seed, "dropout", step)
        if self.device.type == "cuda":
            torch.cuda.manual_seed(seed)
        else:
            torch.default_generator.manual_seed(seed)

    def _log_training(self) -> None:
        loss, accuracy, grad_norm = self._window.read(self.config.trainer.log_train == "batch")
        if not math.isfinite(loss):
            raise TrialError(
                f"the training loss is {loss} between steps {self.step - self._window.steps + 1} and {self.step} "
                f"(optimizer.lr={self.config.optimizer.lr:g}): a lower optimizer.lr or optimizer.clip_norm=1 may help"
            )
        point = {"train/loss": loss, "train/acc": accuracy, "lr": self._learning_rate(self.step - 1)}
        if self.config.optimizer.clip_norm is not None:
            point["train/grad_norm"] = grad_norm
        self._log(point)
        self._window.reset()

    # --- evaluation ---------------------------------------------------------------------------------------

    def on_validation_epoch_start(self) -> None:
        self.tally = Tally()

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        sequences, labels = batch
        self.tally.add(self.classifier(sequences), labels)

    def on_validation_epoch_end(self) -> None:
        loss, accuracy = self.tally.loss, self.tally.accuracy
        if not math.isfinite(loss):
            raise TrialError(f"the validation loss is {loss} at step {self.step}: a lower optimizer.lr may help")
        point = {"val/loss": loss, "val/acc": accuracy, "epoch": self.schedule.epoch(self.step)}
        if self.config.model.readout == "every":
            by_step = self.tally.accuracy_by_step
            point["val/acc_mean_over_steps"] = sum(by_step) / len(by_step)
        seconds, steps = self._stopwatch.lap()
        if steps:
            point["epoch_seconds"] = seconds / steps * self.schedule.steps_per_epoch
            point["samples_per_second"] = steps * self.data.batches.batch_size / seconds
        self._log(point)
        self._keep_best(accuracy)
        if self.trainer.state.fn == "fit" and self.done:
            self.trainer.should_stop = True

    def _keep_best(self, accuracy: float) -> None:
        self.evaluations_since_best += 1
        if self.best is None or accuracy > self.best["accuracy"]:
            weights = {name: value.detach().clone() for name, value in self.classifier.state_dict().items()}
            self.best = {"step": self.step, "accuracy": accuracy, "weights": weights}
            self.evaluations_since_best = 0

    @property
    def best_step(self) -> int:
        assert self.best is not None
        return int(self.best["step"])

    @property
    def best_accuracy(self) -> float:
        assert self.best is not None
        return float(self.best["accuracy"])

    def seconds(self) -> float:
        """Since training began, the time before an interruption counted, that between not."""
        return time.monotonic() - self._started

    def log_best(self) -> None:
        assert self.logger is not None
        self.logger.log_metrics({"val/best_acc": self.best_accuracy}, step=self.best_step)

    def use_best_weights(self) -> None:
        assert self.best is not None
        self.classifier.load_state_dict(self.best["weights"])

    def on_test_epoch_start(self) -> None:
        self.tally = Tally()
        self.hardest = Hardest(HARDEST)

    def test_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        sequences, labels = batch
        logits = self.classifier(sequences)
        self.tally.add(logits, labels)
        self.hardest.add(logits, labels)

    def on_test_epoch_end(self) -> None:
        self._log({"test/loss": self.tally.loss, "test/acc": self.tally.accuracy})
        if self.config.model.readout == "every":
            by_step = self.tally.accuracy_by_step
            self._log({"test/acc_mean_over_steps": sum(by_step) / len(by_step)})
            assert self.logger is not None
            for count, accuracy in enumerate(by_step, start=1):  # here x is the steps the network has read
                self.logger.log_metrics({"test/acc_after_step": accuracy}, step=count)

    def _log(self, point: dict[str, float]) -> None:
        self.latest.update(point)
        assert self.logger is not None
        self.logger.log_metrics(point, step=self.step)

    # --- resuming -----------------------------------------------------------------------------------------

    def trial_state(self) -> dict[str, Any]:
        """All that training depends on, as tensors and plain values."""
        return {
            "step": self.step,
            "weights": self.classifier.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": None if self.scaler is None else self.scaler.state_dict(),
            "window": self._window.state_dict(),
            "best": self.best,
            "seconds": self.seconds(),
            "evaluations_since_best": self.evaluations_since_best,
        }

    def resume_from(self, state: dict[str, Any]) -> None:
        """Continue from a `trial_state`; the optimiser's part waits until the Trainer has built it."""
        self.step = state["step"]
        self.classifier.load_state_dict(state["weights"])
        self.best = state["best"]
        self._started = time.monotonic() - state["seconds"]
        self.evaluations_since_best = state["evaluations_since_best"]
        self._resume_from = state

    def on_fit_start(self) -> None:
        state, self._resume_from = self._resume_from, None
        if state is None:
            return
        self.optimizer.load_state_dict(state["optimizer"])
        if self.scaler is not None:
            self.scaler.load_state_dict(state["scaler"])
        self._window.load_state_dict(state["window"], self.device)
