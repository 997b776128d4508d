"""What the training curves need between two of their points."""

import time
from collections.abc import Sequence
from types import TracebackType
from typing import Any

import torch
from torch import Tensor


class TrainWindow:
    """Sums of loss, the task's metric and gradient norms since the last point of the training curves, of K trials.

    They stay on the device until a point is due, and are part of a checkpoint.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.steps = 0
        self.batch_size = 0
        self._sums: Tensor | None = None
        self._last: Tensor | None = None

    def add(self, losses: Tensor, scores: Tensor, grad_norms: Tensor | None, batch_size: int) -> None:
        """Losses, sums of the metric over a batch, and gradient norms of S steps, each (S,) of one trial or (S, K)."""
        rows = [losses, scores, torch.zeros_like(losses) if grad_norms is None else grad_norms]
        columns = torch.stack([row.double() for row in rows]).view(3, len(losses), -1)  # (3, S, K)
        self._sums = columns.sum(dim=1) if self._sums is None else self._sums + columns.sum(dim=1)
        self._last = columns[:, -1]
        self.steps += len(losses)
        self.batch_size = batch_size

    def read(self, only_last_batch: bool) -> list[tuple[float, float, float]]:
        """Loss, metric and gradient norm of each trial: means since the last reset, or those of the last batch."""
        values, steps = (self._last, 1) if only_last_batch else (self._sums, self.steps)
        assert values is not None
        sequences = steps * self.batch_size
        return [(loss / steps, score / sequences, norm / steps) for loss, score, norm in values.T.tolist()]

    def states(self, count: int = 1) -> list[dict[str, Any]]:
        """The state of each of `count` trials, as if it had a window of its own."""
        known = {"steps": self.steps, "batch_size": self.batch_size}
        if self._sums is None or self._last is None:
            return [known | {"sums": None, "last": None}] * count
        columns = zip(self._sums.T.tolist(), self._last.T.tolist(), strict=True)
        return [known | {"sums": sums, "last": last} for sums, last in columns]

    def load_states(self, states: Sequence[dict[str, Any]], device: torch.device) -> None:
        """Go on from the states of trials that were at the same step."""
        self.steps, self.batch_size = states[0]["steps"], states[0]["batch_size"]
        for name in ("sums", "last"):
            values = [state[name] for state in states]
            tensor = None if values[0] is None else torch.tensor(values, dtype=torch.float64, device=device).T
            setattr(self, f"_{name}", tensor)


class Stopwatch:
    """Seconds and steps of training alone, evaluation left out; a context manager around each stretch."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.steps = 0

    def __enter__(self) -> None:
        self._start = time.perf_counter()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if torch.cuda.is_initialized():
            torch.cuda.synchronize()
        self.seconds += time.perf_counter() - self._start

    def lap(self) -> tuple[float, int]:
        """Seconds and steps since the last lap."""
        lap = self.seconds, self.steps
        self.seconds, self.steps = 0.0, 0
        return lap
