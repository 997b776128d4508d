"""Trials as packs beside trials one by one: what one more costs, the memory, where the time goes, the accuracy.

python -m benchmarks.packs --write benchmarks/results/packs_cpu.md --counts 1 8 32
python -m benchmarks.packs --write benchmarks/results/packs_accuracy.md --counts --accuracy 10 --epochs 15
python -m benchmarks.packs --write benchmarks/results/packs_h100.md --commands       (on a machine with a GPU)
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from scipy import stats

from benchmarks.record import machine, write_result
from recurrent_cells.config.schema import Config, DataConfig, ModelConfig, OptimizerConfig, TrainerConfig
from recurrent_cells.data.splits import load_splits
from recurrent_cells.models.classifier import build_classifier
from recurrent_cells.statistics.comparisons import mean_interval
from recurrent_cells.tasks import task_of
from recurrent_cells.tracking.queries import trial_records
from recurrent_cells.tracking.store import open_store
from recurrent_cells.training.device import resolve_device, use_determinism, use_threads
from recurrent_cells.training.member import Member
from recurrent_cells.training.program import Program
from recurrent_cells.training.progress import Progress
from recurrent_cells.training.schedule import Schedule
from src import REPOSITORY

CELLS = ("simple_rnn", "lstm", "gru")
COLORS = {"simple_rnn": "#D55E00", "lstm": "#0072B2", "gru": "#009E73"}
BATCH_SIZE = 128
NO_RUN: Any = None  # nothing is written down
SECONDS_A_ROUND = 1.0
KINDS = {
    "products": ("gemm", "bmm", "mm", "cutlass", "sm90", "sm80"),
    "copies": ("copy", "memcpy", "memset", "cat", "gather", "index"),
}


@dataclass(frozen=True)
class Point:
    """Seconds a step (the median of rounds) of `count` trials in one program, and the most bytes it took on a GPU."""

    cell: str
    hidden_size: int
    precision: str
    count: int
    seconds: float
    memory: int

    @property
    def seconds_a_trial(self) -> float:
        return self.seconds / self.count


def config_of(cell: str, hidden_size: int, precision: str, seed: int) -> Config:
    return Config(
        seed=seed,
        model=ModelConfig(cell=cell, hidden_size=hidden_size),
        data=DataConfig(batch_size=BATCH_SIZE, val_size=500, test_size=500),
        optimizer=OptimizerConfig(lr=1e-3 * (1 + seed / 1000)),
        trainer=TrainerConfig(precision=precision, max_steps=1_000_000, eval_every=1_000_000),
    )


def build_program(cell: str, hidden_size: int, precision: str, count: int) -> Program:
    members, task = [], task_of("auto", "last")
    for seed in range(count):
        config = config_of(cell, hidden_size, precision, seed)
        splits = load_splits(config.data)
        classifier = build_classifier(config.model, splits.num_features, splits.num_classes, seed)
        schedule = Schedule.from_config(config.trainer, len(splits.train), BATCH_SIZE)
        progress = Progress(config, schedule, task, lambda *_: None)
        members.append(Member(config, classifier, progress, NO_RUN))
    device = resolve_device(members[0].config.trainer)
    return Program(members, device.hold(splits), task, device)


def timed(program: Program, steps: int) -> float:
    """Seconds a step, to the end of what was started."""
    start = time.perf_counter()
    for stop in range(program.step + 20, program.step + steps + 1, 20):
        program.train(stop)
    program.log_training()
    return (time.perf_counter() - start) / steps


def measure(cell: str, hidden_size: int, precision: str, count: int, repeats: int) -> Point:
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    program = build_program(cell, hidden_size, precision, count)
    timed(program, 20)
    steps = max(20, int(SECONDS_A_ROUND / timed(program, 20)) // 20 * 20)
    seconds = statistics.median(timed(program, steps) for _ in range(repeats))
    memory = torch.cuda.max_memory_allocated() if torch.cuda.is_available() else 0
    return Point(cell, hidden_size, precision, count, seconds, memory)


def shares(cell: str, hidden_size: int, precision: str, count: int) -> dict[str, float]:
    """Of a step's time on the GPU, the share of each kind of kernel, and that of no kernel at all."""
    program = build_program(cell, hidden_size, precision, count)
    timed(program, 40)
    activities = [torch.profiler.ProfilerActivity.CPU, torch.profiler.ProfilerActivity.CUDA]
    with torch.profiler.profile(activities=activities) as profile:
        whole = timed(program, 40) * 40
    seconds: dict[str, float] = defaultdict(float)
    for event in profile.key_averages():
        if event.self_device_time_total > 0:
            name = event.key.lower()
            kind = next((kind for kind, words in KINDS.items() if any(word in name for word in words)), "elementwise")
            seconds[kind] += event.self_device_time_total / 1e6
    busy = sum(seconds.values())
    return {kind: found / whole for kind, found in seconds.items()} | {"nothing runs": 1 - busy / whole}


def command(launcher: Sequence[str], cell: str, count: int, epochs: int, precision: str) -> float:
    """Seconds of a whole sweep's command, with a store of its own."""
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {"MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlflow.db"}
        arguments = [
            *("-m", f"model={cell}", f"seed=range(0,{count})", f"data.batch_size={BATCH_SIZE}"),
            *(f"trainer.max_epochs={epochs}", f"trainer.precision={precision}", "sweep.report=false", "registry=false"),
        ]
        start = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "src.train", *arguments, *launcher],
            cwd=REPOSITORY,
            env=environment,
            check=True,
            capture_output=True,
        )
        return time.perf_counter() - start


def commands(epochs: int, precision: str, count: int) -> Iterator[str]:
    """Trials an hour of whole commands: in a program, one after another, several processes at once."""
    packed = ["hydra/launcher=packed", *([] if torch.cuda.is_available() else [f"hydra.launcher.max_pack={count}"])]
    few = min(count, 16)
    yield f"Trials an hour, whole commands, {epochs} epochs, {precision}, hidden 128, batch {BATCH_SIZE}:"
    yield ""
    yield f"| cell | {count} in packs | {few} one after another | {few} in 8 processes at once | packs ÷ one by one |"
    yield "|---|---|---|---|---|"
    for cell in CELLS:
        rates = [
            3600 * number / command(launcher, cell, number, epochs, precision)
            for number, launcher in (
                (count, packed),
                (few, ["hydra.launcher.slots=1"]),
                (few, ["hydra.launcher.slots=8"]),
            )
        ]
        yield f"| {cell} | {' | '.join(f'{rate:.0f}' for rate in rates)} | {rates[0] / rates[1]:.1f} |"
    yield ""


def accuracies(launcher: Sequence[str], seeds: int, epochs: int) -> dict[str, dict[int, float]]:
    """Test accuracies by cell and seed of a sweep on the default data, with a store of its own."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {"MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlflow.db"}
        arguments = ["-m", "model=simple_rnn,lstm,gru", f"seed=range(0,{seeds})", f"trainer.max_epochs={epochs}"]
        quiet = ["trainer=cpu", "sweep.report=false", "registry=false"]
        subprocess.run(
            [sys.executable, "-m", "src.train", *arguments, *quiet, *launcher],
            cwd=REPOSITORY,
            env=os.environ | environment,
            check=True,
            capture_output=True,
        )
        with patch.dict(os.environ, environment):
            records = trial_records(open_store("recurrent-cells"))
    found: dict[str, dict[int, float]] = defaultdict(dict)
    for record in records:
        found[record.tags["cell"]][int(record.tags["seed"])] = record.metrics["test/acc"]
    return found


def accuracy(seeds: int, epochs: int) -> Iterator[str]:
    """Whether trials of a pack end with other accuracies than the same trained one by one."""
    packed = accuracies(["hydra/launcher=packed", f"hydra.launcher.max_pack={seeds}"], seeds, epochs)
    alone = accuracies([], seeds, epochs)
    yield f"Test accuracy in %, {seeds} seeds, default data, {epochs} epochs, float32 on a CPU:"
    yield ""
    yield "| cell | in a pack | alone | difference in points (95 % interval) | p | seeds that differ |"
    yield "|---|---|---|---|---|---|"
    for cell in CELLS:
        both = [(packed[cell][seed], alone[cell][seed]) for seed in range(seeds)]
        differences = np.array([one - other for one, other in both])
        mean, half = (float(100 * value) for value in mean_interval(differences))
        p = float(stats.ttest_1samp(differences, 0).pvalue) if differences.any() else 1.0
        means = (100 * statistics.mean(values) for values in zip(*both, strict=True))
        differing = int((differences != 0).sum())
        columns = [*(f"{it:.2f}" for it in means), f"{mean:.2f} ± {half:.2f}", f"{p:.2f}", str(differing)]
        yield f"| {cell} | {' | '.join(columns)} |"
    yield ""


def table(points: Sequence[Point]) -> Iterator[str]:
    counts = sorted({point.count for point in points})
    yield "| cell | hidden | precision | " + " | ".join(f"K = {count}" for count in counts) + " |"
    yield "|---|---|---|" + "---|" * len(counts)
    rows: dict[tuple[str, int, str], dict[int, Point]] = defaultdict(dict)
    for point in points:
        rows[point.cell, point.hidden_size, point.precision][point.count] = point
    for (cell, hidden_size, precision), found in rows.items():
        cells = []
        for count in counts:
            if count not in found:
                cells.append("–")
                continue
            point = found[count]
            gain = found[counts[0]].seconds_a_trial / point.seconds_a_trial
            memory = f", {point.memory / 2**20:.0f} MiB" if point.memory else ""
            cells.append(f"{1000 * point.seconds:.2f} ms ({gain:.1f} ×{memory})")
        yield f"| {cell} | {hidden_size} | {precision} | {' | '.join(cells)} |"


def draw(points: Sequence[Point], path: Path) -> None:
    """Seconds a step against the number of trials in the program."""
    figure = Figure(figsize=(7, 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    curves: dict[tuple[str, int, str], list[Point]] = defaultdict(list)
    for point in points:
        curves[point.cell, point.hidden_size, point.precision].append(point)
    styles = dict(zip(sorted({point.hidden_size for point in points}), ("-", "--", ":", "-."), strict=False))
    markers = dict(zip(sorted({point.precision for point in points}), ("o", "s", "^"), strict=False))
    for (cell, hidden_size, precision), found in curves.items():
        axes.plot(
            [point.count for point in found],
            [1000 * point.seconds for point in found],
            color=COLORS[cell],
            linestyle=styles[hidden_size],
            marker=markers[precision],
            markersize=4,
            label=f"{cell} {hidden_size}, {precision}",
        )
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_xlabel("trials in a pack")
    axes.set_ylabel("milliseconds a step of all")
    axes.grid(alpha=0.3)
    axes.legend(frameon=False, fontsize=7)
    figure.savefig(path, dpi=110)


def main() -> None:
    gpu = torch.cuda.is_available()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--counts", type=int, nargs="*", default=[1, 8, 32, 64, 128, 256])
    parser.add_argument("--hidden-sizes", type=int, nargs="*", default=[50, 128, 256])
    parser.add_argument("--precisions", nargs="*", default=["32-true", "bf16-mixed"] if gpu else ["32-true"])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--commands", action="store_true", help="time whole commands too")
    parser.add_argument("--accuracy", type=int, default=0, metavar="SEEDS", help="compare accuracies of so many seeds")
    parser.add_argument("--epochs", type=int, default=10, help="of whole commands")
    parser.add_argument("--write", type=Path, help="the Markdown file to write; a picture and JSON go beside it")
    arguments = parser.parse_args()
    use_threads(1)
    use_determinism(True)
    points = [
        measure(cell, hidden_size, precision, count, arguments.repeats)
        for precision in arguments.precisions
        for hidden_size in arguments.hidden_sizes
        for cell in CELLS
        for count in arguments.counts
    ]
    lines = ["# Packs: many trials as one program", "", f"`python -m benchmarks.packs {' '.join(sys.argv[1:])}`", ""]
    if points:
        lines += [
            f"A step of all K trials of a program, batch {BATCH_SIZE}, 28 rows of 28; in brackets trials a second as a"
        ]
        lines += ["multiple of the pack of one.", "", *table(points), ""]
    if gpu and points:
        lines += ["Where the time of a step goes, hidden 128, bf16-mixed:", "", "| cell | K | share |", "|---|---|---|"]
        for cell in CELLS:
            for count in (1, 64):
                found = shares(cell, 128, "bf16-mixed", count)
                words = ", ".join(f"{kind} {100 * part:.0f} %" for kind, part in sorted(found.items()))
                lines.append(f"| {cell} | {count} | {words} |")
        lines.append("")
    if arguments.accuracy:
        lines += accuracy(arguments.accuracy, arguments.epochs)
    if arguments.commands:
        for precision in arguments.precisions:
            lines += commands(arguments.epochs, precision, 64 if gpu else 8)
    write_result("\n".join([*lines, machine()]) + "\n", arguments.write)
    if arguments.write is not None and points:
        draw(points, arguments.write.with_suffix(".png"))
        raw = {"machine": machine(), "points": [asdict(point) for point in points]}
        arguments.write.with_suffix(".json").write_text(json.dumps(raw, indent=1) + "\n")


if __name__ == "__main__":
    main()
