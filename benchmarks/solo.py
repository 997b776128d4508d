"""One network, one thread: the harness as users run it against a plainly written loop on the same batches.

python -m benchmarks.solo --write benchmarks/results/solo.md
"""

import argparse
import os
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig
from torch import nn

from benchmarks.record import machine, write_result
from src import config
from src.config import validated
from src.data.splits import load_splits
from src.models.classifier import build_classifier
from src.paths import REPOSITORY
from src.train import train
from src.training.module import TrialModule
from src.training.optimizer import build_optimizer

NETWORKS = {
    "SimpleRNN 50, batch 50": ("model=simple_rnn", "model.hidden_size=50", "data.batch_size=50"),
    "SimpleRNN 128, batch 128": ("model=simple_rnn", "model.hidden_size=128", "data.batch_size=128"),
    "LSTM 128, batch 128": ("model=lstm", "model.hidden_size=128", "data.batch_size=128"),
    "GRU 128, batch 128": ("model=gru", "model.hidden_size=128", "data.batch_size=128"),
}
COMMON = ("optimizer.lr=1e-3", "optimizer.schedule=none", "optimizer.clip_norm=null")


@dataclass
class Pair:
    """Seconds a step of the harness and of the bare loop, measured one after the other."""

    harness: float
    bare: float

    @property
    def ratio(self) -> float:
        """Steps per second of the harness as a share of the bare loop's."""
        return self.bare / self.harness


def bare_loop(overrides: list[str], steps: int) -> float:
    """Seconds a step of the loop one writes by hand: same network, same optimiser, batches sliced from memory."""
    settings = validated(_composed(overrides))
    splits = load_splits(settings.data)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model: nn.Module = build_classifier(settings.model, splits.num_features, splits.num_classes, seed=0).to(device)
    optimizer = build_optimizer(settings.optimizer, model.parameters())
    loss_function = nn.CrossEntropyLoss()
    x, y = splits.train.sequences.to(device), splits.train.labels.to(device)
    size, batches = settings.data.batch_size, len(y) // settings.data.batch_size
    order = torch.randperm(len(y), device=device)
    model.train()
    start = 0.0
    for step in range(steps + steps // 10):
        if step == steps // 10:  # warmed up
            _wait(device)
            start = time.perf_counter()
        chosen = order[step % batches * size : (step % batches + 1) * size]
        loss = loss_function(model(x[chosen]), y[chosen])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    _wait(device)
    return (time.perf_counter() - start) / steps


def harness_loop(overrides: list[str], steps: int) -> float:
    """Seconds a step of `train(cfg)` with everything on, evaluation and start-up left out.

    Everything between the first and the last training step counts: loops, metrics, tracking, checkpoints.
    """
    marks: list[tuple[int, float]] = []
    evaluating = 0.0
    original_step, original_start, original_end = (
        TrialModule.training_step,
        TrialModule.on_validation_epoch_start,
        TrialModule.on_validation_epoch_end,
    )

    def training_step(self: TrialModule, chunk: tuple[int, int], batch_idx: int) -> None:
        original_step(self, chunk, batch_idx)
        if self.step >= steps // 10:
            _wait(self.device)
            marks.append((self.step, time.perf_counter() - evaluating))

    began = 0.0

    def start(self: TrialModule) -> None:
        nonlocal began
        began = time.perf_counter()
        original_start(self)

    def end(self: TrialModule) -> None:
        nonlocal evaluating
        original_end(self)
        evaluating += time.perf_counter() - began

    TrialModule.training_step, TrialModule.on_validation_epoch_start, TrialModule.on_validation_epoch_end = (  # type: ignore[method-assign]
        training_step,
        start,
        end,
    )
    try:
        train(_composed([*overrides, f"trainer.max_steps={steps + steps // 10}"]))
    finally:
        (
            TrialModule.training_step,  # type: ignore[method-assign]
            TrialModule.on_validation_epoch_start,  # type: ignore[method-assign]
            TrialModule.on_validation_epoch_end,  # type: ignore[method-assign]
        ) = original_step, original_start, original_end
    (first_step, first), (last_step, last) = marks[0], marks[-1]
    return (last - first) / (last_step - first_step)


def _composed(overrides: list[str]) -> DictConfig:
    config.register()
    with initialize_config_dir(str(REPOSITORY / "conf"), version_base="1.3"):
        return compose("config", overrides=[*COMMON, *overrides])


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def measure(extra: list[str], steps: int, repeats: int) -> dict[str, list[Pair]]:
    """For each network its pairs, the two sides in turn."""
    torch.set_num_threads(1)
    results: dict[str, list[Pair]] = {}
    for name, network in NETWORKS.items():
        overrides = [*network, *extra]
        results[name] = [Pair(harness_loop(overrides, steps), bare_loop(overrides, steps)) for _ in range(repeats)]
    return results


def report(results: dict[str, list[Pair]], command: str) -> str:
    lines = [
        "# The harness against a plainly written loop",
        "",
        f"`{command}`",
        "",
        "Milliseconds a training step, medians; steps per second of the harness as a share of the bare loop's, median "
        "(least – most) of pairs measured in turn. The harness runs with everything on: metrics, MLflow, checkpoints.",
        "Evaluations, with their logging and the copy of the best weights, are left out on both sides.",
        "Both sides use the same fused optimiser and one thread.",
        "",
        "| network | harness ms | bare loop ms | share |",
        "|---|---|---|---|",
    ]
    for name, pairs in results.items():
        ratios = [pair.ratio for pair in pairs]
        harness = statistics.median(pair.harness for pair in pairs) * 1000
        bare = statistics.median(pair.bare for pair in pairs) * 1000
        share = f"{statistics.median(ratios):.2f} ({min(ratios):.2f} – {max(ratios):.2f})"
        lines.append(f"| {name} | {harness:.2f} | {bare:.2f} | {share} |")
    return "\n".join([*lines, "", machine()]) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--write", type=Path, help="the Markdown file to write")
    parser.add_argument("overrides", nargs="*", help="further overrides, as data=mnist data.root=…")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{folder}/mlflow.db"
        results = measure(arguments.overrides, arguments.steps, arguments.repeats)
    command = " ".join(["python -m benchmarks.solo", f"--steps {arguments.steps} --repeats {arguments.repeats}"])
    write_result(report(results, " ".join([command, *arguments.overrides])), arguments.write)


if __name__ == "__main__":
    main()
