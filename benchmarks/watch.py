"""What the page of a sweep costs: seconds to answer with 1,000 trials, and what watching takes from a sweep that runs.

    python -m benchmarks.watch --write benchmarks/results/watch.md

The trials are planned as any; their runs, with curves of 100 points, are written straight into the database. What
watching takes is measured on pairs of the same sweep in new stores, one of each pair watched by a page that asks every
two seconds, in alternating order.
"""

import argparse
import json
import os
import random
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.costs import sweep
from benchmarks.record import machine, write_result
from benchmarks.scale import Figures, command, fill, plan
from recurrent_cells.serving.watch.sweep import WatchedSweep
from recurrent_cells.sweeps.parent import close_parent, open_parent
from recurrent_cells.tracking.steering import ask_for_seeds
from recurrent_cells.tracking.store import database_path, open_store

SECONDS_BETWEEN_QUESTIONS = 2.0
ASKED = 20
SWEEP = (
    *("-m", "model=gru,lstm", "seed=range(0,6)", "model.hidden_size=64", "trainer=cpu", "trainer.max_epochs=20"),
    *("sweep.report=false", "registry=false", "hydra.launcher.slots=2"),
)


def answers(trials: int) -> dict[str, float]:
    """Seconds of what a page of a sweep of so many trials asks for, by what it is."""
    planned = plan(trials, Figures(""))
    store = open_store("recurrent-cells")
    parent = open_parent(store, planned, "synthetic", rerun="missing")
    store.disconnect()
    fill(store, store.uri, planned, parent.run_id)
    with closing(sqlite3.connect(database_path(store.uri))) as database, database:  # they end in the future, else
        database.execute("UPDATE runs SET start_time = start_time - 3600000, end_time = end_time - 3600000")
    close_parent(store, parent.run_id, {"finished": len(planned)}, "FINISHED")
    found: dict[str, float] = {}
    with timed(found, "the command, from a loaded process to its first answer"):
        watched = WatchedSweep(store, parent.run_id)
        watched.since("")
    whole = [_seconds(lambda: json.dumps(_asked(watched, ""))) for _ in range(ASKED)]
    version = watched.since("")["version"]
    nothing_new = [_seconds(lambda: json.dumps(_asked(watched, version))) for _ in range(ASKED)]
    ask_for_seeds(store, parent.run_id, 1000)  # the sweep has changed: plan, comparison and rows are made anew
    found["all that a new page gets (median)"] = statistics.median(whole)
    found["the longest of these"] = max(whole)
    found["what is new, where nothing is (median)"] = statistics.median(nothing_new)
    found["what is new, after the sweep has changed"] = _seconds(lambda: json.dumps(_asked(watched, version)))
    found["MB of all that a new page gets"] = len(json.dumps(watched.since(""))) / 1e6
    return found


def _asked(watched: WatchedSweep, version: str) -> object:
    watched.look(at_once=True)
    return watched.since(version)


def _seconds(act: Callable[[], object]) -> float:
    start = time.perf_counter()
    act()
    return time.perf_counter() - start


@contextmanager
def timed(found: dict[str, float], what: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    found[what] = time.perf_counter() - start


@dataclass
class Sweep:
    """When the trials of a sweep started and ended, and what its page has used, in seconds."""

    spans: dict[str, tuple[float, float]]
    opened: float | None = None
    cpu_to_open: float = 0.0
    cpu: float = 0.0

    @property
    def seconds(self) -> float:
        return max(end for _, end in self.spans.values()) - min(start for start, _ in self.spans.values())

    def seconds_of(self, names: Iterable[str]) -> float:
        return sum(end - start for start, end in (self.spans[name] for name in names))


def paired(pairs: int) -> list[tuple[Sweep, Sweep]]:
    """A sweep alone and watched, pair by pair."""
    found = []
    for number in range(pairs):
        sweeps = {is_watched: run(is_watched) for is_watched in (number % 2 == 0, number % 2 == 1)}
        found.append((sweeps[False], sweeps[True]))
        print(
            f"alone {sweeps[False].seconds:.1f} s, watched {sweeps[True].seconds:.1f} s, "
            f"its trials {watched_to_alone(*found[-1]):.3f}",
            file=sys.stderr,
            flush=True,
        )
    return found


def watched_to_alone(alone: Sweep, watched: Sweep) -> float:
    """The ratio of the seconds of the trials that started when the page was open to those of the same trials alone."""
    assert watched.opened is not None
    names = [name for name, (start, _) in watched.spans.items() if start >= watched.opened]
    return watched.seconds_of(names) / alone.seconds_of(names)


def run(is_watched: bool) -> Sweep:
    """The sweep in a store of its own."""
    opened, cpu_to_open, cpu = None, 0.0, 0.0
    with tempfile.TemporaryDirectory() as folder:
        env = os.environ | {"MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlflow.db"}
        training = subprocess.Popen(
            [sys.executable, "-m", "src.train", *SWEEP], env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            if is_watched:
                opened, cpu_to_open, cpu = _watch_until_ended(training, env)
            training.wait()
        finally:
            training.kill()
        os.environ["MLFLOW_TRACKING_URI"] = env["MLFLOW_TRACKING_URI"]
        store = open_store("recurrent-cells")
        runs = store.client.search_runs([store.experiment_id], "tags.fingerprint LIKE '%'")
        spans = {it.info.run_name: (it.info.start_time / 1000, it.info.end_time / 1000) for it in runs}
        return Sweep(spans, opened, cpu_to_open, cpu)


def _watch_until_ended(training: "subprocess.Popen[bytes]", env: dict[str, str]) -> tuple[float, float, float]:
    """Ask as a page does from when there is a sweep; the moment of its first answer, its CPU until then and in all."""
    server = None
    while training.poll() is None and server is None:
        command = [sys.executable, "-m", "src.watch", "0"]
        asked = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert asked.stdout is not None
        words = asked.stdout.readline() + asked.stdout.readline()
        server = asked if "http" in words else None
    if server is None:
        raise RuntimeError("the sweep ended before its page was open")
    address, version = words.rpartition("http")[2].partition("#")[0], ""
    opened, cpu_to_open = 0.0, 0.0
    while training.poll() is None:
        with urllib.request.urlopen(f"http{address}sweep?since={version}") as answer:
            version = json.load(answer)["version"]
        cpu = sum(psutil.Process(server.pid).cpu_times()[:2])
        if not opened:
            opened, cpu_to_open = time.time(), cpu
        time.sleep(SECONDS_BETWEEN_QUESTIONS)
    server.kill()
    server.wait()
    return opened, cpu_to_open, cpu


def report(trials: int, found: dict[str, float], pairs: Sequence[tuple[Sweep, Sweep]]) -> str:
    lines = [
        "# Watching a sweep",
        "",
        f"`python -m benchmarks.watch`: a sweep of {trials:,} finished trials (`{' '.join(command(trials)[:-1])}`), "
        f"two curves of 100 points each, SQLite; medians of {ASKED}.",
        "",
        "| the page asks for | seconds |",
        "|---|---|",
        *(f"| {what} | {seconds:.3f} |" for what, seconds in found.items()),
    ]
    if pairs:
        ratios = sorted(watched_to_alone(*pair) for pair in pairs)
        seconds = [statistics.median(it.seconds for it in column) for column in zip(*pairs, strict=True)]
        cpu_to_open = statistics.median(watched.cpu_to_open for _, watched in pairs)
        cpu = statistics.median((it.cpu - it.cpu_to_open) / it.seconds for _, it in pairs)
        lines += [
            "",
            f"A sweep (`{' '.join(SWEEP)}`) beside a page that asks every {SECONDS_BETWEEN_QUESTIONS:g} s, "
            f"{len(pairs)} pairs: trials that start when the page is open take {statistics.median(ratios):.3f} of what "
            f"the same trials take alone (median; {ratios[0]:.3f} to {ratios[-1]:.3f}). The whole sweep takes "
            f"{seconds[0]:.1f} s alone and {seconds[1]:.1f} s where `make watch` is started beside it: its start uses "
            f"{cpu_to_open:.1f} s of a core, its answers {cpu:.1%} of one.",
        ]
    return "\n".join([*lines, "", machine()]) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--pairs", type=int, default=10, help="of sweeps, alone and watched")
    parser.add_argument("--write", type=Path, help="the Markdown file to write")
    arguments = parser.parse_args()
    random.seed(0)
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{scratch}/mlflow.db"
        sweep("seed=0", "trainer.max_steps=1")  # imports what is needed
        found = answers(arguments.trials)
    write_result(report(arguments.trials, found, paired(arguments.pairs)), arguments.write)


if __name__ == "__main__":
    main()
