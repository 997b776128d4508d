"""An MLflow server on PostgreSQL under many writers, a sweep through it, and two machines with one plan.

    python -m benchmarks.shared_tracking --write benchmarks/results/shared_tracking.md

Needs PostgreSQL and the extra `server`; the two machines are two host names on this one (`unshare`, as root).
"""

import argparse
import json
import multiprocessing
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

import requests

from benchmarks.costs import sweep as sweep_here
from benchmarks.endings import end_in_order, ended_with_this
from benchmarks.kill_campaign import Verdict, compare
from benchmarks.postgres import tracking_server
from benchmarks.record import machine, write_result
from recurrent_cells.paths import HOME_VARIABLE
from recurrent_cells.tracking.opening import RunSpec
from recurrent_cells.tracking.queries import trial_records
from recurrent_cells.tracking.recovery import recover
from recurrent_cells.tracking.run import trial_run
from recurrent_cells.tracking.store import Store, open_store
from src import REPOSITORY

SWEEP = ("-m", "model=simple_rnn,lstm,gru", "seed=0,1,2", "trainer=cpu", "sweep.report=false")
ONE = ("model=lstm", "seed=0,1,2", "sweep.report=false")
METRICS = ("train/loss", "train/acc", "val/loss", "val/acc")
STEPS_A_SECOND = 50


def store_at(uri: str) -> Store:
    os.environ["MLFLOW_TRACKING_URI"] = uri
    return open_store("recurrent-cells")


# --- writers -----------------------------------------------------------------------------------------------------


@dataclass
class Written:
    """What many writers at once left in the store."""

    writers: int
    killed: int
    points: int
    seconds: float
    faults: list[str] = field(default_factory=list)


def write_run(number: int, steps: int, hangs_at: int | None) -> None:
    """In a process of its own: a run with a value in each metric at each step, at the pace of a fast training."""
    with trial_run(open_store("recurrent-cells"), RunSpec(f"writer-{number}", f"writer-{number}", {}, {})) as run:
        for step in range(1, steps + 1):
            run.journal.write(dict.fromkeys(METRICS, step + number / 100), step)
            time.sleep(1 / STEPS_A_SECOND)
            if step == hangs_at:
                time.sleep(600)


def writers(uri: str, count: int, steps: int, killed: int) -> Written:
    """So many writers at once, some of them killed half-way and started again."""
    store = store_at(uri)
    processes = multiprocessing.get_context("spawn")
    start = time.monotonic()
    first = [
        processes.Process(target=write_run, args=(number, steps, steps // 2 if number < killed else None), daemon=True)
        for number in range(count)
    ]
    for process in first:
        process.start()
    time.sleep(steps / 2 / STEPS_A_SECOND + 20)  # they have imported what they need and come half-way
    for process in first[:killed]:
        process.kill()
    for process in first:
        process.join()
    recover(store)
    again = [processes.Process(target=write_run, args=(number, steps, None), daemon=True) for number in range(killed)]
    for process in again:
        process.start()
    for process in again:
        process.join()
    written = Written(count, killed, 0, time.monotonic() - start)
    for record in trial_records(store, "tags.fingerprint LIKE 'writer-%'"):
        number = int(record.name.removeprefix("writer-"))
        if record.status != "FINISHED":
            written.faults.append(f"{record.name} is {record.status}")
        for metric in METRICS:
            points = [(point.step, point.value) for point in store.client.get_metric_history(record.run_id, metric)]
            written.points += len(points)
            if sorted(points) != [(step, step + number / 100) for step in range(1, steps + 1)]:
                written.faults.append(f"{record.name} has {len(points)} points of {metric}, {steps} were written")
    return written


# --- a sweep -----------------------------------------------------------------------------------------------------


def same_as_in_a_file(folder: Path, uri: str) -> Verdict:
    """A sweep through the server, held against the same into SQLite."""
    verdict, calm = Verdict(starts=1), f"sqlite:///{folder}/calm/mlflow.db"
    for place in (calm, uri):
        if code := start(place, *SWEEP).wait():
            verdict.faults.append(f"a sweep exited with {code}")
    compare(store_at(calm), store_at(uri), verdict)
    return verdict


def start(uri: str, *command: str, prefix: Sequence[str] = (), home: Path | None = None) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "MLFLOW_TRACKING_URI": uri}
    if home is not None:
        environment[HOME_VARIABLE] = str(home)
    started = subprocess.Popen(
        [*prefix, sys.executable, "-m", "src.train", *command],
        cwd=REPOSITORY,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    return ended_with_this(started)


@dataclass
class Share:
    """Seconds of three trials, and how many of them their training waited for the server."""

    seconds: float
    waiting: float
    requests: int


def tracking_share(uri: str) -> Share:
    """Trials one after another in this process; what other threads send costs them nothing but a core."""
    os.environ["MLFLOW_TRACKING_URI"] = uri
    waits: list[float] = []
    with _timed_requests(waits):
        seconds = sweep_here(*ONE, "hydra/launcher=basic", "sweep.rerun=all")
    return Share(seconds, sum(waits), len(waits))


@contextmanager
def _timed_requests(waits: list[float]) -> Iterator[None]:
    original = requests.Session.request

    def timed(*arguments: Any, **named: Any) -> Any:
        begun = time.perf_counter()
        try:
            return original(*arguments, **named)
        finally:
            if threading.current_thread() is threading.main_thread():
                waits.append(time.perf_counter() - begun)

    with patch.object(requests.Session, "request", timed):
        yield


# --- two machines ------------------------------------------------------------------------------------------------


def two_machines(folder: Path, uri: str) -> tuple[int, list[str]]:
    """The same sweep from two host names at once; how many trials there are, and those not trained exactly once."""
    command = ("-m", "model=lstm,gru", "seed=range(10,16)", "trainer=cpu", "trainer.max_epochs=1", "sweep.report=false")
    machines = [
        start(
            uri,
            *command,
            "hydra.launcher.slots=1",
            prefix=("unshare", "--uts", "sh", "-c", f'hostname machine-{name} && exec "$@"', "sh"),
            home=folder / name,
        )
        for name in ("a", "b")
    ]
    codes = [it.wait(timeout=900) for it in machines]
    records = [it for it in trial_records(store_at(uri)) if it.tags.get("process.host", "").startswith("machine-")]
    runs: Counter[str] = Counter(it.fingerprint for it in records)
    faults = [f"a sweep exited with {code}" for code in codes if code]
    faults += [f"{it.name} is {it.status}" for it in records if it.status != "FINISHED"]
    faults += [f"{count} runs of one trial" for count in runs.values() if count != 1]
    hosts = Counter(it.tags["process.host"] for it in records)
    if len(hosts) != 2:
        faults.append(f"only one machine trained: {json.dumps(hosts)}")
    return len(runs), faults


def report(written: Written, verdict: Verdict, share: Share, machines: tuple[int, list[str]]) -> str:
    trials, faults = machines
    lines = [
        "# An MLflow server on PostgreSQL, shared",
        "",
        "`python -m benchmarks.shared_tracking`, beside other work: PostgreSQL, the server (2 workers) and all clients "
        "on one machine.",
        "",
        f"- {written.writers} writers at once, {STEPS_A_SECOND} steps a second each with {len(METRICS)} metrics, "
        f"{written.killed} of them killed half-way and started again: {written.points:,} points, "
        f"{written.seconds:.0f} s; "
        f"faults: {'; '.join(written.faults) or 'none, no point is missing or there twice'}",
        f"- `python -m src.train {' '.join(SWEEP)}` against the same into SQLite: {verdict.trials} trials, "
        f"{verdict.points:,} points and all best weights compared; faults: {'; '.join(verdict.faults) or 'none'}",
        f"- three trials of 15 epochs one after another: {share.seconds:.1f} s, of which training waited "
        f"{share.waiting:.1f} s ({share.waiting / share.seconds:.1%}) for {share.requests} requests; "
        "points travel in a thread beside it",
        f"- the same sweep from two host names at once, with folders of their own: {trials} trials; "
        f"faults: {'; '.join(faults) or 'none, each was trained once, and both trained'}",
        "",
        machine(),
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--writers", type=int, default=8)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--write", type=Path, help="the Markdown file to write")
    arguments = parser.parse_args()
    end_in_order()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        with tracking_server(folder / "server") as server:
            uri = server.uri
            verdict = same_as_in_a_file(folder, uri)
            share = tracking_share(uri)
            machines = two_machines(folder, uri)
            written = writers(uri, arguments.writers, arguments.steps, killed=2)
            shutil.rmtree(store_at(uri).folder)
    write_result(report(written, verdict, share, machines), arguments.write)
    sys.exit(1 if [*verdict.faults, *written.faults, *machines[1]] else 0)


if __name__ == "__main__":
    main()
