"""What one trial has reached: the points of its curves, its best evaluation, and whether it is done."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from recurrent_cells.config.schema import Config
from recurrent_cells.errors import TrialError
from recurrent_cells.tasks import Task
from recurrent_cells.tracking.names import Curve
from recurrent_cells.training.schedule import Schedule, learning_rate


@dataclass(frozen=True)
class Best:
    """The evaluation with the best value of the task's metric, the earliest of equals."""

    step: int
    value: float


class Progress:
    """Counts a trial's steps and writes its points, whatever program computes them.

    Args:
        log: takes metrics and the step they belong to.
    """

    def __init__(
        self, config: Config, schedule: Schedule, task: Task, log: Callable[[dict[str, float], int], None]
    ) -> None:
        self.config = config
        self.schedule = schedule
        self.task = task
        self.step = 0
        self.best: Best | None = None
        self.evaluations_since_best = 0
        self.evaluated_at: int | None = None
        self.time_used_at: int | None = None  # the step
        self.latest: dict[str, float] = {}
        self._log_metrics = log
        self._started = time.monotonic()

    @property
    def done(self) -> bool:
        patience = self.config.trainer.early_stopping
        gave_up = patience is not None and self.evaluations_since_best >= patience
        return gave_up or self.step >= self.schedule.total_steps

    @property
    def is_time_used(self) -> bool:
        limit = self.config.trainer.max_seconds
        return limit is not None and self.seconds() >= limit

    def reach(self, step: int) -> None:
        """Stand at a step, which becomes the last if the time of the trial is used."""
        self.step = step
        if self.is_time_used:
            self._end_at(step)

    def _end_at(self, step: int) -> None:
        self.schedule = replace(self.schedule, total_steps=step)
        self.time_used_at = step

    def learning_rate(self, step: int) -> float:
        return learning_rate(self.config.optimizer, step, self.schedule.total_steps)

    def seconds(self) -> float:
        """Since training began, the time before an interruption counted, that between not."""
        return time.monotonic() - self._started

    def log_training(self, loss: float, score: float, grad_norm: float, steps: int) -> None:
        """Write a point of the training curves, which stands for so many steps.

        Raises:
            TrialError: if the loss is not finite.
        """
        if not math.isfinite(loss):
            raise TrialError(
                f"the training loss is {loss} between steps {self.step - steps + 1} and {self.step} "
                f"(optimizer.lr={self.config.optimizer.lr:g}): a lower optimizer.lr or optimizer.clip_norm=1 may help"
            )
        point = {
            Curve.TRAIN_LOSS: loss,
            Curve.train(self.task.metric): score,
            Curve.LEARNING_RATE: self.learning_rate(self.step - 1),
        }
        if self.config.optimizer.clip_norm is not None:
            point[Curve.GRAD_NORM] = grad_norm
        self.log(point)

    def log_evaluation(self, loss: float, scores: Sequence[float], seconds: float, steps: int) -> bool:
        """Write a point of the validation curves; whether it is the best so far.

        Args:
            scores: the metric after each answer, of which the last counts.
            seconds: of training since the last evaluation, with its `steps`.

        Raises:
            TrialError: if the loss is not finite.
        """
        self.evaluated_at = self.step
        if not math.isfinite(loss):
            raise TrialError(f"the validation loss is {loss} at step {self.step}: a lower optimizer.lr may help")
        metric, score = self.task.metric, scores[-1]
        point = {Curve.VAL_LOSS: loss, Curve.val(metric): score, Curve.EPOCH: self.schedule.epoch(self.step)}
        if len(scores) > 1:
            point[f"val/{metric}_mean_over_steps"] = sum(scores) / len(scores)
        if steps:
            point[Curve.EPOCH_SECONDS] = seconds / steps * self.schedule.steps_per_epoch
            point[Curve.SAMPLES_PER_SECOND] = steps * self.config.data.batch_size / seconds
        self.log(point)
        is_best = self.best is None or self._is_better(score, self.best.value)
        self.evaluations_since_best = 0 if is_best else self.evaluations_since_best + 1
        if is_best:
            self.best = Best(self.step, score)
        return is_best

    def _is_better(self, score: float, other: float) -> bool:
        return score > other if self.task.judge.higher_is_better else score < other

    def log_test(self, loss: float, scores: Sequence[float], further: Mapping[str, float]) -> None:
        """Write what came of the test, further metrics included, and the best validation value at its step."""
        metric = self.task.metric
        self.log({Curve.TEST_LOSS: loss, Curve.test(metric): scores[-1]})
        self.log({Curve.test(name): value for name, value in further.items() if math.isfinite(value)})
        if len(scores) > 1:
            self.log({f"test/{metric}_mean_over_steps": sum(scores) / len(scores)})
            for count, score in enumerate(scores, start=1):  # here x is the steps the network has read
                self._log_metrics({f"test/{metric}_after_step": score}, count)
        assert self.best is not None
        self._log_metrics({Curve.best_val(metric): self.best.value}, self.best.step)

    def log(self, point: dict[str, float]) -> None:
        self.latest.update(point)
        self._log_metrics(point, self.step)

    def summary(self) -> str:
        """The latest evaluation in a line."""
        now, metric = self.latest, self.task.metric
        parts = [f"step {self.step}/{self.schedule.total_steps}", f"epoch {now['epoch']:.4g}"]
        if "train/loss" in now:  # not yet where an evaluation comes before the first point of the curve
            parts.append(f"train loss {now['train/loss']:.4f} {metric} {now[f'train/{metric}']:.4f}")
        parts.append(f"val loss {now['val/loss']:.4f} {metric} {now[f'val/{metric}']:.4f}")
        if "samples_per_second" in now:
            parts.append(f"{now['samples_per_second']:.0f} sequences/s")
        return "  ".join(parts)

    def state_dict(self) -> dict[str, Any]:
        counts = {"step": self.step, "evaluations_since_best": self.evaluations_since_best}
        return counts | {"time_used_at": self.time_used_at, "seconds": self.seconds()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a trial's state, its best evaluation included."""
        self.step, self.evaluations_since_best = state["step"], state["evaluations_since_best"]
        self.evaluated_at = self.step
        if state.get("time_used_at") is not None:  # states of earlier versions do not have the key
            self._end_at(state["time_used_at"])
        self._started = time.monotonic() - state["seconds"]
        best = state["best"]
        # Called accuracy in states that an earlier version has left.
        self.best = None if best is None else Best(best["step"], best["value" if "value" in best else "accuracy"])
