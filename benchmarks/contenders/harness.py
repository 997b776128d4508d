"""`train(cfg)` as users run it, everything on: metrics, MLflow, checkpoints.

The option `kernels` leaves a GPU's graph out.
"""

import os
import tempfile
import time
from typing import Any

import torch

from benchmarks.commands import composed
from benchmarks.contenders import Network, Round
from recurrent_cells.training.module import TrialModule
from recurrent_cells.trial.train import train

COMMON = ("optimizer.lr=1e-3", "optimizer.schedule=none", "optimizer.clip_norm=null", "trainer.progress=false")


def prepare(network: Network, x: Any, y: Any, option: str = "") -> Round:
    folder = tempfile.TemporaryDirectory()
    os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{folder.name}/mlflow.db"
    overrides = [
        *COMMON,
        f"model={network.cell}",
        f"model.hidden_size={network.hidden_size}",
        f"model.num_layers={network.num_layers}",
        f"data.batch_size={network.batch_size}",
        f"trainer.cuda_graph={option != 'kernels'}",
        f"trainer.precision={network.precision}",
        f"trainer.tf32={network.tf32}",
    ]

    def train_once(steps: int) -> float:
        assert folder.name
        return _seconds_a_step(overrides, steps)

    return train_once


def _seconds_a_step(overrides: list[str], steps: int) -> float:
    """Between the first tenth and the last step; evaluations, with the keeping of the best weights, are left out."""
    marks: list[tuple[int, float]] = []
    evaluating, began = 0.0, 0.0
    plain = TrialModule.training_step, TrialModule.on_validation_epoch_start, TrialModule.on_validation_epoch_end

    def step(self: TrialModule, chunk: tuple[int, int], batch_idx: int) -> None:
        plain[0](self, chunk, batch_idx)
        if self.step >= steps // 10:
            if self.device.type == "cuda":
                torch.cuda.synchronize()
            marks.append((self.step, time.perf_counter() - evaluating))

    def start(self: TrialModule) -> None:
        nonlocal began
        began = time.perf_counter()
        plain[1](self)

    def end(self: TrialModule) -> None:
        nonlocal evaluating
        plain[2](self)
        evaluating += time.perf_counter() - began

    _put(step, start, end)
    try:
        train(composed(*overrides, f"trainer.max_steps={steps + steps // 10}"))
    finally:
        _put(*plain)
    (first_step, first), (last_step, last) = marks[0], marks[-1]
    return (last - first) / (last_step - first_step)


def _put(*methods: Any) -> None:
    names = ("training_step", "on_validation_epoch_start", "on_validation_epoch_end")
    for name, method in zip(names, methods, strict=True):
        setattr(TrialModule, name, method)
