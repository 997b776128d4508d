"""Programs of K trials, timed step by step, beside the same networks one by one."""

import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from benchmarks.contenders import Network
from benchmarks.contenders.process import Contender
from recurrent_cells.config.schema import Config, DataConfig, ModelConfig, OptimizerConfig, TrainerConfig
from recurrent_cells.data.splits import load_splits
from recurrent_cells.models.classifier import build_classifier
from recurrent_cells.tasks import task_of
from recurrent_cells.training.device import resolve_device
from recurrent_cells.training.member import Member
from recurrent_cells.training.program import Program
from recurrent_cells.training.progress import Progress
from recurrent_cells.training.schedule import Schedule

BATCH_SIZE = 128
NO_RUN: Any = None  # nothing is written down
SECONDS_A_ROUND = 1.0
KINDS = {
    "products": ("gemm", "bmm", "mm", "cutlass", "sm90", "sm80"),
    "copies": ("copy", "memcpy", "memset", "cat", "gather", "index"),
}


@dataclass(frozen=True)
class Shape:
    """What the trials of a pack have in common; `kernel` is the route that computes their layers."""

    cell: str
    hidden_size: int
    precision: str
    kernel: str = "auto"

    @property
    def network(self) -> Network:
        return Network(self.cell, self.hidden_size, BATCH_SIZE, precision=self.precision)


@dataclass(frozen=True)
class Point:
    """Seconds a step (the median of rounds) of `count` trials in one program, and the most bytes it took on a GPU."""

    shape: Shape
    count: int
    seconds: float
    memory: int

    @property
    def seconds_a_trial(self) -> float:
        return self.seconds / self.count


def config_of(shape: Shape, seed: int) -> Config:
    return Config(
        seed=seed,
        model=ModelConfig(cell=shape.cell, hidden_size=shape.hidden_size, kernel=shape.kernel),
        data=DataConfig(batch_size=BATCH_SIZE, val_size=500, test_size=500),
        optimizer=OptimizerConfig(lr=1e-3 * (1 + seed / 1000)),
        trainer=TrainerConfig(precision=shape.precision, max_steps=1_000_000, eval_every=1_000_000),
    )


def build_members(shape: Shape, count: int) -> list[Member]:
    members, task = [], task_of("auto", "last")
    for seed in range(count):
        config = config_of(shape, seed)
        splits = load_splits(config.data)
        classifier = build_classifier(config.model, splits.num_features, splits.num_classes, seed)
        schedule = Schedule.from_config(config.trainer, len(splits.train), BATCH_SIZE)
        progress = Progress(config, schedule, task, lambda *_: None)
        members.append(Member(config, classifier, progress, NO_RUN))
    return members


def build_program(shape: Shape, count: int) -> Program:
    members = build_members(shape, count)
    config = members[0].config
    device = resolve_device(config.trainer)
    return Program(members, device.hold(load_splits(config.data)), task_of("auto", "last"), device)


def timed(program: Program, steps: int) -> float:
    """Seconds a step, to the end of what was started."""
    start = time.perf_counter()
    for stop in range(program.step + 20, program.step + steps + 1, 20):
        program.train(stop)
    program.log_training()
    return (time.perf_counter() - start) / steps


def measure(shape: Shape, count: int, repeats: int) -> Point:
    gpu = torch.cuda.is_available()
    before = 0
    if gpu:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
    program = build_program(shape, count)
    timed(program, 20)
    steps = max(20, int(SECONDS_A_ROUND / timed(program, 20)) // 20 * 20)
    seconds = statistics.median(timed(program, steps) for _ in range(repeats))
    memory = torch.cuda.max_memory_allocated() - before if gpu else 0
    return Point(shape, count, seconds, memory)


def measure_one_by_one(contenders: Mapping[str, Contender], network: Network, repeats: int) -> dict[str, float]:
    """Seconds a step of each contender that runs here."""
    found = {}
    for name, contender in contenders.items():
        contender.take(network)
        try:
            steps = max(20, int(SECONDS_A_ROUND / contender.train(40)))
            found[name] = statistics.median(contender.train(steps) for _ in range(repeats))
        except RuntimeError as error:
            print(f"{network.title}: does not run here ({error})", file=sys.stderr)
    return found


def shares(shape: Shape, count: int, steps: int = 40) -> dict[str, float]:
    """Of a step's time on the GPU, the share of each kind of kernel, and that of no kernel at all; `kernels` a step."""
    program = build_program(shape, count)
    timed(program, steps)
    activities = [torch.profiler.ProfilerActivity.CPU, torch.profiler.ProfilerActivity.CUDA]
    with torch.profiler.profile(activities=activities) as profile:
        whole = timed(program, steps) * steps
    seconds: dict[str, float] = defaultdict(float)
    kernels = 0
    for event in profile.key_averages():
        if event.self_device_time_total > 0:
            name = event.key.lower()
            kind = next((kind for kind, words in KINDS.items() if any(word in name for word in words)), "elementwise")
            seconds[kind] += event.self_device_time_total / 1e6
            kernels += event.count
    busy = sum(seconds.values())
    found = {kind: part / whole for kind, part in seconds.items()}
    return found | {"nothing runs": 1 - busy / whole, "kernels": kernels / steps}
