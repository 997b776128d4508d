"""What one trial has reached: the points of its curves, its best evaluation, and whether it is done."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from recurrent_cells.config.schema import Config
from recurrent_cells.errors import TrialError
from recurrent_cells.training.schedule import Schedule, learning_rate


@dataclass(frozen=True)
class Best:
    """The evaluation with the highest validation accuracy, the earliest of equals."""

    step: int
    accuracy: float


class Progress:
    """Counts a trial's steps and writes its points, whatever program computes them.

    Args:
        log: takes metrics and the step they belong to.
    """

    def __init__(self, config: Config, schedule: Schedule, log: Callable[[dict[str, float], int], None]) -> None:
        self.config = config
        self.schedule = schedule
        self.step = 0
        self.best: Best | None = None
        self.evaluations_since_best = 0
        self.evaluated_at: int | None = None
        self.ended = False
        self.latest: dict[str, float] = {}
        self._log_metrics = log
        self._started = time.monotonic()

    @property
    def done(self) -> bool:
        patience = self.config.trainer.early_stopping
        gave_up = patience is not None and self.evaluations_since_best >= patience
        return gave_up or self.step >= self.schedule.total_steps

    def learning_rate(self, step: int) -> float:
        return learning_rate(self.config.optimizer, step, self.schedule.total_steps)

    def seconds(self) -> float:
        """Since training began, the time before an interruption counted, that between not."""
        return time.monotonic() - self._started

    def log_training(self, loss: float, accuracy: float, grad_norm: float, steps: int) -> None:
        """Write a point of the training curves, which stands for so many steps.

        Raises:
            TrialError: if the loss is not finite.
        """
        if not math.isfinite(loss):
            raise TrialError(
                f"the training loss is {loss} between steps {self.step - steps + 1} and {self.step} "
                f"(optimizer.lr={self.config.optimizer.lr:g}): a lower optimizer.lr or optimizer.clip_norm=1 may help"
            )
        point = {"train/loss": loss, "train/acc": accuracy, "lr": self.learning_rate(self.step - 1)}
        if self.config.optimizer.clip_norm is not None:
            point["train/grad_norm"] = grad_norm
        self.log(point)

    def log_evaluation(self, loss: float, accuracy_by_step: Sequence[float], seconds: float, steps: int) -> bool:
        """Write a point of the validation curves; whether it is the best so far.

        Args:
            accuracy_by_step: with `readout=every` after each step read, else one.
            seconds: of training since the last evaluation, with its `steps`.

        Raises:
            TrialError: if the loss is not finite.
        """
        self.evaluated_at = self.step
        if not math.isfinite(loss):
            raise TrialError(f"the validation loss is {loss} at step {self.step}: a lower optimizer.lr may help")
        accuracy = accuracy_by_step[-1]
        point = {"val/loss": loss, "val/acc": accuracy, "epoch": self.schedule.epoch(self.step)}
        if self.config.model.readout == "every":
            point["val/acc_mean_over_steps"] = sum(accuracy_by_step) / len(accuracy_by_step)
        if steps:
            point["epoch_seconds"] = seconds / steps * self.schedule.steps_per_epoch
            point["samples_per_second"] = steps * self.config.data.batch_size / seconds
        self.log(point)
        is_best = self.best is None or accuracy > self.best.accuracy
        self.evaluations_since_best = 0 if is_best else self.evaluations_since_best + 1
        if is_best:
            self.best = Best(self.step, accuracy)
        return is_best

    def log(self, point: dict[str, float]) -> None:
        self.latest.update(point)
        self._log_metrics(point, self.step)

    def log_best(self) -> None:
        assert self.best is not None
        self._log_metrics({"val/best_acc": self.best.accuracy}, self.best.step)

    def summary(self) -> str:
        """The latest evaluation in a line."""
        now = self.latest
        parts = [f"step {self.step}/{self.schedule.total_steps}", f"epoch {now['epoch']:.4g}"]
        if "train/loss" in now:  # not yet where an evaluation comes before the first point of the curve
            parts.append(f"train loss {now['train/loss']:.4f} acc {now['train/acc']:.4f}")
        parts.append(f"val loss {now['val/loss']:.4f} acc {now['val/acc']:.4f}")
        if "samples_per_second" in now:
            parts.append(f"{now['samples_per_second']:.0f} images/s")
        return "  ".join(parts)

    def state_dict(self) -> dict[str, Any]:
        return {"step": self.step, "evaluations_since_best": self.evaluations_since_best, "seconds": self.seconds()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a trial's state, its best evaluation included."""
        self.step, self.evaluations_since_best = state["step"], state["evaluations_since_best"]
        self.evaluated_at = self.step
        self._started = time.monotonic() - state["seconds"]
        best = state["best"]
        self.best = None if best is None else Best(best["step"], best["accuracy"])
