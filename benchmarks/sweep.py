"""A sweep of 3 cells × 3 seeds on the default data: this harness, the usual way, and the training alone.

python -m benchmarks.sweep --write benchmarks/results/sweep.md
"""

import argparse
import os
import statistics
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from benchmarks.commands import timed_sweep
from benchmarks.contenders import Network
from benchmarks.contenders.process import Contender, write_data
from benchmarks.record import machine, write_result

SEEDS = 3
EPOCHS = 15
STEPS = 62 * EPOCHS  # 4,000 images in batches of 64
SWEEP = ("model=simple_rnn,lstm,gru", f"seed=range(0,{SEEDS})", f"trainer.max_epochs={EPOCHS}")
NETWORKS = [Network(cell, 128, 64) for cell in ("gru", "lstm", "simple_rnn")]  # the longest first


@dataclass
class Times:
    """Seconds of each, measured one after the other; `before`: of the harness until its first trial begins."""

    harness: float
    before: float
    usual: float
    training: float
    # with registry=false: no MLflow model a trial, no champion
    unregistered: float
    before_unregistered: float


def command(*options: str) -> tuple[float, float]:
    """Seconds of the sweep's command, and those until its first trial began, with a store of its own."""
    ran = timed_sweep(*SWEEP, "sweep.report=false", *options)
    return ran.whole, ran.before


def usual(data: Path) -> float:
    """Trial after trial, all cores for each, imports once a cell; no validation and no test."""
    seconds = 0.0
    for network in NETWORKS:
        start = time.perf_counter()
        contender = Contender("lightning", network, data, core=None)
        for _ in range(SEEDS):
            contender.train(STEPS * 10 // 11)  # it trains a tenth more
        seconds += time.perf_counter() - start
        contender.end()
    return seconds


def training(data: Path) -> float:
    """The bare loops with this project's layers, one on each core, imports left out; a network a time, all seeds."""
    waiting = [network for network in NETWORKS for _ in range(SEEDS)]

    def work(core: int) -> None:
        while waiting:
            network = waiting.pop(0)
            by_core[core][network].train(STEPS)

    cores = sorted(os.sched_getaffinity(0))
    by_core = {core: {network: Contender("bare:own", network, data, core) for network in NETWORKS} for core in cores}
    for contenders in by_core.values():
        for contender in contenders.values():
            contender.train(20)
    start = time.perf_counter()
    with ThreadPoolExecutor(len(cores)) as pool:
        list(pool.map(work, cores))
    seconds = time.perf_counter() - start
    for contenders in by_core.values():
        for contender in contenders.values():
            contender.end()
    return seconds


def report(rounds: list[Times], repeats: int) -> str:
    def median(name: str) -> float:
        return statistics.median(getattr(times, name) for times in rounds)

    against_usual = statistics.median(times.harness / times.usual for times in rounds)
    against_training = statistics.median((times.harness - times.before) / times.training for times in rounds)
    without = statistics.median((times.unregistered - times.before_unregistered) / times.training for times in rounds)
    lines = [
        f"# A sweep: 3 cells × {SEEDS} seeds, default data, {EPOCHS} epochs",
        "",
        f"`python -m benchmarks.sweep --repeats {repeats}`",
        "",
        "| | seconds |",
        "|---|---|",
        f"| this harness, the whole command without its report | {median('harness'):.1f} |",
        f"| of which imports, planning and a new store, until the first trial begins | {median('before'):.1f} |",
        f"| the usual way: Lightning, DataLoader, MLFlowLogger, one trial after another | {median('usual'):.1f} |",
        f"| training alone: bare loops with the same layers, one on each core | {median('training'):.1f} |",
        "",
        f"The harness takes {against_usual:.2f} of the usual way (aim: at most 0.6), and from its first trial on "
        f"{against_training:.2f} of training alone (aim: at most 1.15), {without:.2f} with `registry=false`; "
        f"medians of {len(rounds)} rounds. The usual way neither validates nor tests here, the harness does both.",
        "",
        machine(),
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--write", type=Path, help="the Markdown file to write")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data.npz"
        write_data(data)
        rounds = [
            Times(*command(), usual(data), training(data), *command("registry=false")) for _ in range(arguments.repeats)
        ]
    write_result(report(rounds, arguments.repeats), arguments.write)


if __name__ == "__main__":
    main()
