"""Programs of K trials, timed step by step, beside the same networks one by one."""

import gc
import logging
import statistics
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import torch
from torch.autograd import DeviceType

from benchmarks.contenders import Network
from benchmarks.contenders.process import Contender
from benchmarks.precision import autocast
from recurrent_cells.config.schema import Config, DataConfig, ModelConfig, OptimizerConfig, TrainerConfig
from recurrent_cells.data.splits import load_splits
from recurrent_cells.models.classifier import build_classifier
from recurrent_cells.tasks import task_of
from recurrent_cells.training.device import resolve_device, use_determinism, use_tf32, use_threads
from recurrent_cells.training.member import Member
from recurrent_cells.training.program import Program
from recurrent_cells.training.progress import Progress
from recurrent_cells.training.schedule import Schedule

BATCH_SIZE = 128
NO_RUN: Any = SimpleNamespace(stop=None)  # nothing is written down
KINDS = {
    "products": ("gemm", "bmm", "mm", "cutlass", "sm90", "sm80"),
    "copies": ("copy", "memcpy", "memset", "cat", "gather", "index"),
}

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Shape:
    """What the trials of a pack have in common; `kernel` is the route that computes their layers."""

    cell: str
    hidden_size: int
    precision: str
    kernel: str = "auto"
    tf32: bool = False

    @property
    def network(self) -> Network:
        return Network(self.cell, self.hidden_size, BATCH_SIZE, precision=self.precision, tf32=self.tf32)

    @property
    def arithmetic(self) -> str:
        """Precision, and TF32 where it is allowed."""
        return f"{self.precision}, TF32" if self.tf32 else self.precision


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


def config_of(shape: Shape, seed: int, optimizer: str = "adam") -> Config:
    return Config(
        seed=seed,
        model=ModelConfig(cell=shape.cell, hidden_size=shape.hidden_size, kernel=shape.kernel),
        data=DataConfig(batch_size=BATCH_SIZE, val_size=500, test_size=500),
        optimizer=OptimizerConfig(name=optimizer, lr=1e-3 * (1 + seed / 1000)),
        trainer=TrainerConfig(precision=shape.precision, tf32=shape.tf32, max_steps=1_000_000, eval_every=1_000_000),
    )


def build_members(shape: Shape, count: int, optimizer: str = "adam") -> list[Member]:
    members, task = [], task_of("auto", "last")
    for seed in range(count):
        config = config_of(shape, seed, optimizer)
        splits = load_splits(config.data)
        classifier = build_classifier(config.model, splits.num_features, splits.num_classes, seed)
        schedule = Schedule.from_config(config.trainer, len(splits.train), BATCH_SIZE)
        progress = Progress(config, schedule, task, lambda *_: None)
        members.append(Member(config, classifier, progress, NO_RUN))
    return members


def build_program(shape: Shape, count: int, optimizer: str = "adam") -> Program:
    """A program of trials that write nothing, in a process set up as theirs."""
    use_threads(1)
    use_determinism(True)
    use_tf32(shape.tf32)
    members = build_members(shape, count, optimizer)
    config = members[0].config
    device = resolve_device(config.trainer)
    return Program(members, device.hold(load_splits(config.data)), task_of("auto", "last"), device)


def timed(program: Program, steps: int) -> float:
    """Seconds a step, to the end of what was started."""
    precision, device = program.members[0].config.trainer.precision, next(program.networks.module.parameters()).device
    start = time.perf_counter()
    with autocast(precision, device.type, cache=False):  # as Lightning has it
        for stop in range(program.step + 20, program.step + steps + 1, 20):
            program.train(stop)
    program.log_training()
    return (time.perf_counter() - start) / steps


def measure(shape: Shape, count: int, repeats: int, seconds_a_round: float = 1.0) -> Point:
    gpu = torch.cuda.is_available()
    before = 0
    gc.collect()  # a program refers to itself: its memory goes with the next collection
    if gpu:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
    program = build_program(shape, count)
    timed(program, 20)
    steps = max(20, int(seconds_a_round / timed(program, 20)) // 20 * 20)
    seconds = statistics.median(timed(program, steps) for _ in range(repeats))
    memory = torch.cuda.max_memory_allocated() - before if gpu else 0
    return Point(shape, count, seconds, memory)


def measure_one_by_one(
    contenders: Mapping[str, Contender], network: Network, repeats: int, seconds_a_round: float = 1.0
) -> dict[str, float]:
    """Seconds a step of each contender that runs here."""
    found = {}
    for name, contender in contenders.items():
        contender.take(network)
        try:
            steps = max(20, int(seconds_a_round / contender.train(40)))
            found[name] = statistics.median(contender.train(steps) for _ in range(repeats))
        except RuntimeError as error:
            log.warning("%s: does not run here (%s)", network.title, error)
    return found


def shares(shape: Shape, count: int, steps: int = 40) -> dict[str, float]:
    """Of a step's time on the GPU, the share of each kind of kernel, and that of no kernel at all; `kernels` a step."""
    program = build_program(shape, count)
    timed(program, steps)
    # acc_events: of one cycle as here it is all the same, and torch 2.11 warns without
    with torch.profiler.profile(activities=torch.profiler.supported_activities(), acc_events=True) as profile:
        whole = timed(program, steps) * steps
    seconds: dict[str, float] = defaultdict(float)
    kernels = 0
    for event in profile.key_averages():
        if event.device_type == DeviceType.CUDA and not event.is_user_annotation:
            name = event.key.lower()
            kind = next((kind for kind, words in KINDS.items() if any(word in name for word in words)), "elementwise")
            seconds[kind] += event.self_device_time_total / 1e6
            kernels += event.count
    busy = sum(seconds.values())
    found = {kind: part / whole for kind, part in seconds.items()}
    return found | {"nothing runs": 1 - busy / whole, "kernels": kernels / steps}
