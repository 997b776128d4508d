"""What the training curves need between two of their points."""

import time
from types import TracebackType
from typing import Any

import torch
from torch import Tensor


class TrainWindow:
    """Sums of loss, right answers and gradient norms since the last point of the training curves.

    They stay on the device until a point is due, and are part of a checkpoint.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.steps = 0
        self.batch_size = 0
        self._sums: Tensor | None = None
        self._last: Tensor | None = None

    def add(self, losses: Tensor, correct: Tensor, grad_norms: Tensor | None, batch_size: int) -> None:
        """Losses, right answers and gradient norms of K steps, each (K,)."""
        rows = [losses, correct, torch.zeros_like(losses) if grad_norms is None else grad_norms]
        columns = torch.stack([row.double() for row in rows])  # (3, K)
        self._sums = columns.sum(dim=1) if self._sums is None else self._sums + columns.sum(dim=1)
        self._last = columns[:, -1]
        self.steps += len(losses)
        self.batch_size = batch_size

    def read(self, only_last_batch: bool) -> tuple[float, float, float]:
        """Loss, accuracy and gradient norm: means since the last reset, or those of the last batch."""
        values, steps = (self._last, 1) if only_last_batch else (self._sums, self.steps)
        assert values is not None
        loss, correct, grad_norm = values.tolist()
        return loss / steps, correct / (steps * self.batch_size), grad_norm / steps

    def state_dict(self) -> dict[str, Any]:
        return {
            "steps": self.steps,
            "batch_size": self.batch_size,
            "sums": None if self._sums is None else self._sums.tolist(),
            "last": None if self._last is None else self._last.tolist(),
        }

    def load_state_dict(self, state: dict[str, Any], device: torch.device) -> None:
        self.steps, self.batch_size = state["steps"], state["batch_size"]
        for name in ("sums", "last"):
            value = state[name]
            tensor = None if value is None else torch.tensor(value, dtype=torch.float64, device=device)
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
