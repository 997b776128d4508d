"""Take the tracking store away from sweeps in every way it fails, and hold what it has then against undisturbed ones.

    python -m benchmarks.store_campaign --write benchmarks/results/store_campaign.md

A server killed and restarted, a full disk (a tmpfs: needs root), a locked database.
"""

import argparse
import os
import random
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from benchmarks.endings import end_in_order, ended_with_this
from benchmarks.record import machine, write_result
from recurrent_cells.tracking.queries import TrialRecord, search, trial_records
from recurrent_cells.tracking.repairs import SETTLING
from recurrent_cells.tracking.store import Store, open_store
from src import REPOSITORY

EXPERIMENT = "recurrent-cells"
TIMINGS = {"epoch_seconds", "samples_per_second"}
TRIAL = ("trainer=cpu", "model.hidden_size=16", "trainer.max_epochs=20", "trainer.log_every=5")
SWEEP = ("-m", "model=simple_rnn,lstm,gru", "seed=0,1,2", *TRIAL, "trainer.checkpoint_every=20", "sweep.report=false")
DISK_MB = 40
SECONDS_TO_START = 600.0

Points = dict[str, list[tuple[int, float]]]


class NoDisk(Exception):
    """A tmpfs cannot be mounted."""


@dataclass
class Verdict:
    """What one part of the campaign came to; `faults` is empty if nothing was lost."""

    what: str
    done: str = ""
    starts: int = 0
    trials: int = 0
    points: int = 0
    faults: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)


def start(command: tuple[str, ...], uri: str, log: Path, module: str = "src.train") -> subprocess.Popen[bytes]:
    with log.open("ab") as output:
        started = subprocess.Popen(
            [sys.executable, "-m", module, *command],
            cwd=REPOSITORY,
            env={**os.environ, "MLFLOW_TRACKING_URI": uri},
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    return ended_with_this(started)


def store_at(uri: str) -> Store:
    os.environ["MLFLOW_TRACKING_URI"] = uri
    return open_store(EXPERIMENT)


def wait_until(condition: Callable[[], bool], seconds: float = 120) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.05)
    return False


# --- what undisturbed trials leave -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Trace:
    """What a finished trial left in the store: its points (of metrics that measure time the steps) and its files."""

    points: Points
    files: frozenset[str]


def trace(store: Store, record: TrialRecord) -> Trace:
    histories = {key: store.client.get_metric_history(record.run_id, key) for key in record.metrics}
    points = {
        key: [(point.step, 0.0 if key in TIMINGS else point.value) for point in history]
        for key, history in histories.items()
    }
    return Trace(points, frozenset(file.path for file in store.client.list_artifacts(record.run_id)))


def compare(store: Store, expected: dict[str, Trace], verdict: Verdict) -> None:
    """Hold a store against the traces of undisturbed trials, by fingerprint."""
    for run in search(store, "attributes.status = 'RUNNING'"):
        verdict.faults.append(f"run {run.info.run_name} is still RUNNING")
    records = trial_records(store)
    verdict.trials = len(expected)
    for fingerprint, undisturbed in expected.items():
        runs = [record for record in records if record.fingerprint == fingerprint]
        if [record.status for record in runs] != ["FINISHED"]:
            verdict.faults.append(f"{fingerprint} has the runs {[record.status for record in runs]}")
            continue
        found, name = trace(store, runs[0]), runs[0].name
        verdict.points += sum(map(len, found.points.values()))
        for key in sorted({*found.points, *undisturbed.points}):
            if found.points.get(key) != undisturbed.points.get(key):
                verdict.faults.append(f"{name}: {key} differs from undisturbed")
        if found.files != undisturbed.files:
            verdict.faults.append(f"{name}: the artifacts are {sorted(found.files)}")
        if runs[0].error:
            verdict.faults.append(f"{name} is FINISHED with the error {runs[0].error}")
    left = sorted(folder.name for folder in (store.folder / "trials").iterdir())
    if left:
        verdict.faults.append(f"trial folders are left: {left}")


def finish(sweep: subprocess.Popen[bytes], again: Callable[[], subprocess.Popen[bytes]], verdict: Verdict) -> None:
    """Wait for a sweep; while it ends with trials unfinished give its command again."""
    verdict.starts = 1
    while (code := sweep.wait(timeout=600)) == 1 and verdict.starts < 4:
        sweep, verdict.starts = again(), verdict.starts + 1
    if code != 0:
        verdict.faults.append(f"the last start exited with {code}")


def read_back(uri: str, log: Path, verdict: Verdict) -> None:
    """Have the doctor read what a server was given once that is settled; then the originals may go."""
    time.sleep(SETTLING)
    run_doctor(uri, log, verdict)


def run_doctor(uri: str, log: Path, verdict: Verdict) -> None:
    if code := start((), uri, log, "src.doctor").wait(timeout=1200):
        verdict.faults.append(f"the doctor ended with {code}")


# --- a server --------------------------------------------------------------------------------------------------


class Server:
    """An MLflow server on 127.0.0.1 with its own database and artifacts."""

    def __init__(self, folder: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = int(free.getsockname()[1])
        self.uri = f"http://127.0.0.1:{self.port}"
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True)

    def start(self, wait: bool = True) -> None:
        command = ["--host", "127.0.0.1", "--port", str(self.port), "--workers", "1"]
        command += ["--backend-store-uri", f"sqlite:///{self._folder}/server.db"]
        command += ["--artifacts-destination", str(self._folder / "artifacts")]
        with (self._folder / "server.log").open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "mlflow", "server", *command],
                cwd=self._folder,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        if wait and not wait_until(self.answers, SECONDS_TO_START):
            raise RuntimeError(f"the server did not start: {self._folder / 'server.log'}")

    def answers(self) -> bool:
        with suppress(OSError), urllib.request.urlopen(f"{self.uri}/health", timeout=2):
            return True
        return False

    def kill(self) -> None:
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None


@contextmanager
def server(folder: Path) -> Iterator[Server]:
    """A server, ended with the body; the folder of trials under way goes with it."""
    one = Server(folder)
    try:
        one.start()
        yield one
        shutil.rmtree(store_at(one.uri).folder)
    finally:
        one.kill()


def killed_server(folder: Path, expected: dict[str, Trace], chance: random.Random, kills: int) -> Verdict:
    verdict = Verdict("A server killed and restarted")
    with server(folder / "server") as one:

        def again() -> subprocess.Popen[bytes]:
            return start((*SWEEP, "tracking.patience=300"), one.uri, folder / "killed_server.log")

        sweep, killed, away = again(), 0, 0.0
        wait_until(lambda: bool(trial_records(store_at(one.uri))))
        while sweep.poll() is None and killed < kills:
            time.sleep(chance.uniform(1, 12))
            since = time.monotonic()
            one.kill()
            killed += 1
            time.sleep(chance.uniform(0, 5))
            one.start()
            away += time.monotonic() - since
        finish(sweep, again, verdict)
        read_back(one.uri, folder / "doctor.log", verdict)
        compare(store_at(one.uri), expected, verdict)
        if killed < 5:
            verdict.faults.append(f"only {killed} kills before the sweep was done")
    verdict.done = f"{killed} SIGKILLs at random moments, {away:.0f} s away in all"
    return verdict


def gone_server(folder: Path, expected: dict[str, Trace], patience: float) -> Verdict:
    """The server dies during a trial and stays away until it has ended; `recurrent_cells.cli.doctor` delivers."""
    verdict = Verdict("A server that stays away past the end of a trial")
    with server(folder / "gone") as one:
        log, patient = folder / "gone_server.log", f"tracking.patience={patience:g}"
        start(("model=gru", "seed=1", *TRIAL, patient), one.uri, folder / "with_server.log").wait()
        trial = start(("model=gru", "seed=0", *TRIAL, patient), one.uri, log)
        wait_until(lambda: len(trial_records(store_at(one.uri))) == 2)
        time.sleep(1)
        one.kill()
        code = trial.wait(timeout=300)
        verdict.said = last_lines(log)
        if code != 1 or not one_message(verdict.said):
            verdict.faults.append(f"the trial exited with {code}, saying {verdict.said}")
        one.start()
        run_doctor(one.uri, folder / "doctor.log", verdict)
        read_back(one.uri, folder / "doctor.log", verdict)
        verdict.starts = 1
        store = store_at(one.uri)
        compare(store, of_store(expected, store), verdict)
        seconds = {record.params["seed"]: record.seconds for record in trial_records(store)}
    verdict.done = (
        f"killed 1 s after the trial began, {patient}, then restarted and `make doctor`; "
        f"training and testing took {seconds['0']:.1f} s, a trial before it with a server {seconds['1']:.1f} s"
    )
    return verdict


def of_store(expected: dict[str, Trace], store: Store) -> dict[str, Trace]:
    """The traces of the trials that a store has; outside a sweep each draws the first sequences too."""
    traces = {record.fingerprint: expected[record.fingerprint] for record in trial_records(store)}
    return {key: replace(trace, files=trace.files | {"first_sequences.png"}) for key, trace in traces.items()}


def last_lines(log: Path) -> list[str]:
    """What a trial said besides its progress."""
    text = log.read_text().replace(str(REPOSITORY), "REPOSITORY").replace(str(log.parent), "FOLDER")
    return [line for line in text.splitlines() if not line.startswith("step ")]


def one_message(said: list[str]) -> bool:
    """A warning when it began, two lines at the end."""
    return 1 <= len(said) <= 4 and "Traceback" not in " ".join(said)


# --- a full disk -----------------------------------------------------------------------------------------------


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """A tmpfs; raises NoDisk if it cannot be mounted."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m", "tmpfs", str(folder)]
    try:
        subprocess.run(command, check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise NoDisk(getattr(error, "stderr", "") or str(error)) from None
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(disk: Path) -> None:
    with suppress(OSError), (disk / "ballast").open("ab", buffering=0) as file:
        for size in (1 << 20, 1 << 12, 1):
            with suppress(OSError):
                while True:
                    file.write(b"\0" * size)


def full_disk(folder: Path, expected: dict[str, Trace], chance: random.Random, times: int) -> Verdict:
    verdict = Verdict("A full disk, freed later")
    with small_disk(folder / "disk") as disk:
        uri = f"sqlite:///{disk}/mlflow.db"

        def again() -> subprocess.Popen[bytes]:
            return start((*SWEEP, "tracking.patience=120"), uri, folder / "full_disk.log")

        sweep, filled, full = again(), 0, 0.0
        wait_until(lambda: (disk / "mlflow.db").exists() and bool(trial_records(store_at(uri))))
        while sweep.poll() is None and filled < times:
            time.sleep(chance.uniform(0.5, 4))
            since = time.monotonic()
            until = since + chance.uniform(3, 12)
            while time.monotonic() < until:  # whatever becomes free is taken at once
                fill(disk)
                time.sleep(0.1)
            (disk / "ballast").unlink()
            filled += 1
            full += time.monotonic() - since
        finish(sweep, again, verdict)
        compare(store_at(uri), expected, verdict)
    verdict.done = f"{DISK_MB} MB holding database and trial folders, full {filled} times, {full:.0f} s in all"
    return verdict


def disk_that_stays_full(folder: Path, expected: dict[str, Trace], patience: float) -> Verdict:
    """A trial whose disk is full past its patience; the same command goes on."""
    verdict = Verdict("A disk that stays full past the end of a trial")
    with small_disk(folder / "full") as disk:
        uri, log = f"sqlite:///{disk}/mlflow.db", folder / "stays_full.log"
        command = ("model=gru", *TRIAL, f"tracking.patience={patience:g}")
        trial = start(command, uri, log)
        wait_until(lambda: any(disk.glob("trials/*/state.ckpt")))
        while trial.poll() is None:
            fill(disk)
            time.sleep(0.1)
        verdict.said = last_lines(log)
        if trial.returncode != 1 or not one_message(verdict.said):
            verdict.faults.append(f"the trial exited with {trial.returncode}, saying {verdict.said}")
        at_once = folder / "refused.log"
        code = start(command, uri, at_once).wait(timeout=120)
        verdict.said += last_lines(at_once)
        if code != 2:
            verdict.faults.append(f"a start on the full disk exited with {code}")
        (disk / "ballast").unlink()
        finish(start(command, uri, log), lambda: start(command, uri, log), verdict)
        compare(store_at(uri), of_store(expected, store_at(uri)), verdict)
    verdict.done = (
        f"full from the first checkpoint on, tracking.patience={patience:g}, then freed, the same command again"
    )
    return verdict


# --- a lock ----------------------------------------------------------------------------------------------------


def locked_database(folder: Path, expected: dict[str, Trace], chance: random.Random, seconds: list[float]) -> Verdict:
    verdict = Verdict("A locked database")
    path = folder / "locked" / "mlflow.db"
    uri = f"sqlite:///{path}"

    def again() -> subprocess.Popen[bytes]:
        return start((*SWEEP, "tracking.patience=120"), uri, folder / "locked.log")

    sweep = again()
    wait_until(lambda: path.exists() and bool(trial_records(store_at(uri))))
    for held in seconds:
        time.sleep(chance.uniform(0.5, 4))
        connection = sqlite3.connect(path, timeout=60, isolation_level=None)
        connection.execute("BEGIN EXCLUSIVE")
        time.sleep(held)
        connection.close()
    finish(sweep, again, verdict)
    compare(store_at(uri), expected, verdict)
    verdict.done = f"`BEGIN EXCLUSIVE` by another process for {', '.join(f'{held:g}' for held in seconds)} s"
    return verdict


# --- all -------------------------------------------------------------------------------------------------------


def report(verdicts: list[Verdict], seconds: float, seed: int) -> str:
    lines = [
        "# The tracking store taken away",
        "",
        f"`python -m src.train {' '.join(SWEEP)}`, or one trial of it. Compared with the same undisturbed: every "
        "metric point (of epoch_seconds and samples_per_second the steps), one FINISHED run a trial and no other, "
        "its artifacts, nothing RUNNING, no folder left.",
        "",
        "| store | disturbance | trials | starts | points | faults |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {it.what} | {it.done} | {it.trials} | {it.starts} | {it.points:,} | {'; '.join(it.faults) or 'none'} |"
        for it in verdicts
    ]
    for it in verdicts:
        if it.said:
            lines += ["", f"{it.what}: it said", "", "```", *it.said, "```"]
    lines += ["", f"Seed {seed}, {seconds:.0f} s; {machine()}"]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--kills", type=int, default=6)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", help="the name of one part, as in killed_server")
    parser.add_argument("--keep", type=Path, help="an empty folder for stores and logs, kept")
    parser.add_argument("--write", type=Path, help="the Markdown file to write")
    arguments = parser.parse_args()
    end_in_order()
    began, chance = time.monotonic(), random.Random(arguments.seed)
    with tempfile.TemporaryDirectory() as scratch:
        folder = arguments.keep or Path(scratch)
        calm_uri = f"sqlite:///{folder}/calm/mlflow.db"
        # With --keep the undisturbed sweep may be there: the same command does nothing then.
        if start(SWEEP, calm_uri, folder / "calm.log").wait() != 0:
            sys.exit(f"the undisturbed sweep failed:\n{(folder / 'calm.log').read_text()}")
        calm = store_at(calm_uri)
        expected = {record.fingerprint: trace(calm, record) for record in trial_records(calm)}
        parts: dict[str, Callable[[], Verdict]] = {
            "killed_server": lambda: killed_server(folder, expected, chance, arguments.kills),
            "gone_server": lambda: gone_server(folder, expected, patience=5),
            "full_disk": lambda: full_disk(folder, expected, chance, times=3),
            "disk_that_stays_full": lambda: disk_that_stays_full(folder, expected, patience=5),
            "locked_database": lambda: locked_database(folder, expected, chance, [3.0, 30.0]),
        }
        verdicts = []
        for name, part in parts.items():
            if arguments.only in (None, name):
                try:
                    verdicts.append(part())
                except subprocess.CalledProcessError as error:
                    print(
                        f"{name} left out, a tmpfs cannot be mounted: {error.stderr.decode().strip()}", file=sys.stderr
                    )
    write_result(report(verdicts, time.monotonic() - began, arguments.seed), arguments.write)
    sys.exit(1 if any(verdict.faults for verdict in verdicts) else 0)


if __name__ == "__main__":
    main()
