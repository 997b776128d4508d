"""This checkout beside another: the step of one network, and a whole sweep, each in turn.

python -m benchmarks.versions FOLDER [--rounds 5] [--sweeps 3] [--write FILE]
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.contenders.process import Contender, write_data
from benchmarks.record import machine
from benchmarks.solo import NETWORKS
from src import REPOSITORY

STEPS, CORE = 200, 0
SWEEP = ("-m", "model=simple_rnn,lstm,gru", "seed=0,1,2", "sweep.report=false")


def steps(folders: Sequence[Path], python: str, rounds: int) -> Iterator[tuple[str, list[list[float]]]]:
    """For each network the seconds a step of each checkout in each round."""
    with tempfile.TemporaryDirectory() as scratch:
        data = Path(scratch) / "data.npz"
        write_data(data)
        for network in NETWORKS:
            contenders = [Contender("harness", network, data, CORE, python, folder) for folder in folders]
            for contender in contenders:
                contender.train(STEPS)
            found = [[contender.train(STEPS) for contender in contenders] for _ in range(rounds)]
            for contender in contenders:
                contender.end()
            yield network.title, found


def sweeps(folders: Sequence[Path], python: str, rounds: int) -> list[list[float]]:
    """The seconds of a whole sweep of each checkout in each round, with a store of its own."""

    def seconds(folder: Path) -> float:
        with tempfile.TemporaryDirectory() as scratch:
            environment = os.environ | {"MLFLOW_TRACKING_URI": f"sqlite:///{scratch}/mlflow.db"}
            start = time.perf_counter()
            command = [python, "-m", "src.train", *SWEEP]
            subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)
            return time.perf_counter() - start

    return [[seconds(folder) for folder in folders] for _ in range(rounds)]


def row(name: str, found: Sequence[Sequence[float]], unit: float) -> str:
    other, this = (statistics.median(column) * unit for column in zip(*found, strict=True))
    ratios = sorted(here / there for there, here in found)
    middle = statistics.median(ratios)
    return f"| {name} | {other:.2f} | {this:.2f} | {middle:.3f} | {ratios[0]:.3f} to {ratios[-1]:.3f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="the other checkout")
    parser.add_argument("--python", default=sys.executable, help="of an environment in which neither is installed")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sweeps", type=int, default=3)
    parser.add_argument("--write", type=Path, help="the Markdown file to write")
    given = parser.parse_args()
    folders = (given.folder, REPOSITORY)
    commits = [
        subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=it, capture_output=True, text=True).stdout.strip()
        for it in folders
    ]
    lines = [
        "# Two versions beside one another",
        "",
        f"`python -m benchmarks.versions FOLDER --rounds {given.rounds} --sweeps {given.sweeps}`, {machine()}.",
        f"The other checkout is {commits[0]}, this one {commits[1]}; in turn, medians, and the ratio of each pair.",
        "",
        "| | other | this | this ÷ other | all rounds |",
        "|---|---|---|---|---|",
    ]
    for name, found in steps(folders, given.python, given.rounds):
        lines.append(row(f"{name}, ms a step", found, 1e3))
        print(lines[-1], flush=True)
    if given.sweeps:
        lines.append(row(f"`{' '.join(SWEEP)}`, s", sweeps(folders, given.python, given.sweeps), 1))
        print(lines[-1], flush=True)
    if given.write:
        given.write.write_text("\n".join([*lines, ""]))


if __name__ == "__main__":
    main()
