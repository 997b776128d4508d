"""Sweeps through a real Slurm of one node, disturbed as clusters do, held against the local launcher to the bit.

    python -m benchmarks.slurm --write benchmarks/results/slurm.md

Needs Debian's packages slurm-wlm and munge: installed, or unpacked (dpkg -x) below a folder that --root names. The
Slurm is started for the benchmark, without systemd, on 127.0.0.1; jobs end with it.
"""

import argparse
import os
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from benchmarks.endings import end_in_order
from benchmarks.kill_campaign import SURVIVED, Verdict, compare
from benchmarks.record import machine, write_result
from recurrent_cells.sweeps.slurm import queue
from recurrent_cells.tracking.parents import all_parents
from recurrent_cells.tracking.queries import trial_records
from recurrent_cells.tracking.store import Store, open_store
from src import REPOSITORY

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scancel", "scontrol", "sinfo", "srun")
CONFIG = """
ClusterName=bench
SlurmctldHost=localhost(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket={folder}/munge/socket
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
SlurmctldPort={port}
SlurmdPort={node_port}
MpiDefault=none
ProctrackType=proctrack/pgid
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=sched_interval=5
ReturnToService=2
KillWait=30
SlurmdTimeout=20
{plugins}StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
NodeName=localhost NodeAddr=127.0.0.1 CPUs=2 CoresPerSocket=2 RealMemory=4000
PartitionName=bench Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""
SWEEP = (
    *("-m", "model=lstm,gru", "trainer=cpu", "model.hidden_size=16", "model.output_dropout=0.1"),
    *("trainer.checkpoint_every=25", "sweep.report=false", "registry=false"),
)
ON_SLURM = ("hydra/launcher=slurm", "hydra.launcher.slots=2")
LEFT = (*ON_SLURM, "hydra.launcher.wait=false")


def missing() -> list[str]:
    """The programs of Slurm that are not on the PATH."""
    return [name for name in PROGRAMS if shutil.which(name) is None]


class Slurm:
    """A Slurm of one node with two processors on 127.0.0.1.

    Args:
        folder: for all its files.
        root: where the packages are unpacked; None: they are installed.
    """

    def __init__(self, folder: Path, root: Path | None) -> None:
        self._folder, self._root = folder, root
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        os.environ |= (_unpacked(root) if root else {}) | {"SLURM_CONF": str(folder / "slurm.conf")}
        if left := missing():
            raise SystemExit(f"no {', '.join(left)} on the PATH: install slurm-wlm and munge, or give --root")
        for name in ("munge", "state", "spool"):
            (folder / name).mkdir(mode=0o700)
        (folder / "munge" / "key").write_bytes(os.urandom(128))
        (folder / "munge" / "key").chmod(0o600)
        plugins = f"PluginDir={root}/usr/lib/x86_64-linux-gnu/slurm-wlm\n" if root else ""
        port, node_port = _free_ports()
        config = CONFIG.format(folder=folder, plugins=plugins, port=port, node_port=node_port)
        (folder / "slurm.conf").write_text(config.lstrip())

    def start(self) -> None:
        kept = {"key-file": "key", "pid-file": "pid", "log-file": "log", "seed-file": "seed", "socket": "socket"}
        files = [f"--{option}={self._folder}/munge/{name}" for option, name in kept.items()]
        self._start("munged", "--foreground", "--force", *files)
        self._start("slurmctld", "-D")
        self.start_node()

    def start_node(self) -> None:
        stepd = ["-d", f"{self._root}/usr/sbin/slurmstepd"] if self._root else []
        self._start("slurmd", "-D", "-N", "localhost", *stepd)
        until(120, lambda: _said("sinfo", "--noheader", "--format=%T").strip() in ("idle", "mixed", "allocated"))

    def kill_node(self) -> None:
        """SIGKILL to the node's daemon and all that it started; return when Slurm has noticed."""
        self._running["slurmd"].kill()
        self._running["slurmd"].wait()
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                environment = process.environ()
                of_ours = environment.get("SLURM_CONF") == os.environ["SLURM_CONF"]
                if of_ours and ("SLURM_JOB_ID" in environment or process.name().startswith("slurmstepd")):
                    process.kill()
        until(120, lambda: "down" in _said("sinfo", "--noheader", "--format=%T"))

    def end(self) -> None:
        subprocess.run(["scancel", f"--name={queue.JOB_NAME}"], check=False, capture_output=True)
        until(60, lambda: not waiting_or_running())
        for daemon in reversed(self._running.values()):
            daemon.terminate()
            daemon.wait(timeout=60)

    def _start(self, program: str, *arguments: str) -> None:
        with (self._folder / f"{program}.out").open("ab") as output:
            self._running[program] = subprocess.Popen([program, *arguments], stdout=output, stderr=output)
        time.sleep(1.0)


@contextmanager
def slurm(folder: Path, root: Path | None = None) -> Iterator[Slurm]:
    """A Slurm, its commands on the PATH, while the body runs."""
    cluster = Slurm(folder, root)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.end()


def _unpacked(root: Path) -> dict[str, str]:
    """The environment in which unpacked programs run."""
    programs = root / "usr/sbin"
    for name in ("slurmctld", "slurmd", "slurmstepd"):  # the packages make these links when they are installed
        if not (programs / name).exists():
            (programs / name).symlink_to(programs / f"{name}-wlm")
    libraries = root / "usr/lib/x86_64-linux-gnu"
    return {
        "PATH": f"{root}/usr/bin:{programs}:{os.environ['PATH']}",
        "LD_LIBRARY_PATH": f"{libraries}:{libraries}/slurm-wlm",
    }


def _free_ports() -> tuple[int, int]:
    with socket.socket() as one, socket.socket() as other:
        one.bind(("127.0.0.1", 0))
        other.bind(("127.0.0.1", 0))
        return one.getsockname()[1], other.getsockname()[1]


def _said(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def until(seconds: float, happened: Callable[[], bool]) -> None:
    """Wait for something; raises TimeoutError."""
    end = time.monotonic() + seconds
    while not happened():
        if time.monotonic() > end:
            raise TimeoutError(f"not after {seconds:g} s")
        time.sleep(0.5)


def waiting_or_running() -> list[str]:
    """The jobs in the queue. A requeued job, which Slurm holds back for two minutes, is let go on at once."""
    states = {task.job_id: state for task, state in queue.states().items() if state not in queue.OVER}
    for job in states:
        if _said("squeue", "--noheader", f"--jobs={job}", "--format=%r").strip() == "BeginTime":
            subprocess.run(["scontrol", "update", f"JobId={job}", "StartTime=now"], check=False, capture_output=True)
    return sorted(states)


def running() -> list[str]:
    return sorted(task.job_id for task, state in queue.states().items() if state == "RUNNING")


class Disturbed:
    """A sweep in a store of its own, and what was found of it.

    Args:
        epochs: of a trial.
        launcher: arguments of each of its commands.
    """

    def __init__(self, folder: Path, epochs: int, name: str, *launcher: str) -> None:
        self.name, self.verdict, self._launcher = name, Verdict(), (f"trainer.max_epochs={epochs}", *launcher)
        self._epochs = epochs
        self._uri = f"sqlite:///{folder}/{name.replace(' ', '-')}/mlflow.db"
        self._log = folder / f"{name}.log"
        self.store = store_at(self._uri)

    def start(self, *more: str) -> subprocess.Popen[bytes]:
        self.verdict.starts += 1
        with self._log.open("ab") as log:
            self._command = subprocess.Popen(
                [sys.executable, "-m", "src.train", *SWEEP, *self._launcher, *more],
                cwd=REPOSITORY,
                env={**os.environ, "MLFLOW_TRACKING_URI": self._uri},
                stdout=log,
                stderr=log,
            )
        return self._command

    def expect(self, what: str, found: object, expected: object) -> None:
        if found != expected:
            self.verdict.faults.append(f"{self.name}: {what} is {found}, not {expected}")

    def expect_end(self, command: subprocess.Popen[bytes], code: int, parent: str) -> None:
        """The command ends with a code and leaves its parent run with a status."""
        self.expect("an exit code", command.wait(timeout=1800), code)
        self.expect("the parent", [it.status for it in all_parents(self.store)], [parent])

    def until_under_way(self, count: int, done: float = 0.1) -> None:
        """Wait until so many trials run and have done such a part of their epochs; or until the command ends."""

        def under_way() -> bool:
            waiting_or_running()
            if self._command.poll() is not None:
                return True
            found = trial_records(self.store, "attributes.status = 'RUNNING'")
            histories = [self.store.client.get_metric_history(it.run_id, "train/loss") for it in found]
            return sum(len(points) >= done * self._epochs for points in histories) >= count

        until(900, under_way)

    def happened(self, event: str) -> None:
        self.verdict.kills[event] += 1


def store_at(uri: str) -> Store:
    os.environ["MLFLOW_TRACKING_URI"] = uri
    return open_store("recurrent-cells")


def left_alone(folder: Path, epochs: int) -> Disturbed:
    """Submit and exit, one job at a time; a job that waits is cancelled; the same command submits it, then collects."""
    sweep = Disturbed(folder, epochs, "submitted and left", *LEFT, "hydra.launcher.slots=1")
    sweep.expect_end(sweep.start(), 0, "SCHEDULED")
    before = waiting_or_running()
    sweep.expect_end(sweep.start(), 0, "SCHEDULED")
    sweep.expect("the queue after the same command", waiting_or_running(), before)
    sweep.happened("same command while jobs wait")
    queue.cancel(task for task, state in queue.states().items() if state == "PENDING")
    sweep.happened("scancel of a job that waits")
    sweep.expect_end(sweep.start(), 0, "SCHEDULED")
    sweep.expect("jobs after one was lost", len(waiting_or_running()), 2)
    until(1800, lambda: not waiting_or_running())
    sweep.expect_end(sweep.start(), 0, "FINISHED")
    sweep.happened("collected")
    return sweep


def requeued(folder: Path, epochs: int, cluster: Slurm) -> Disturbed:
    """A job is requeued; the node dies with both; the command is killed, and the same command waits for the jobs."""
    sweep = Disturbed(folder, epochs, "requeued", *ON_SLURM)
    command = sweep.start()
    sweep.until_under_way(2)
    queue.requeue(running()[0])
    sweep.happened("requeue")
    sweep.until_under_way(1, done=0.3)
    sweep.expect("whether jobs run", bool(running()), True)
    cluster.kill_node()
    cluster.start_node()
    sweep.happened("node failure")
    command.kill()
    command.wait()
    sweep.happened("SIGKILL of the waiting command")
    before = waiting_or_running()
    command = sweep.start()
    sweep.until_under_way(1, done=0.4)
    sweep.expect("new jobs after the same command", set(waiting_or_running()) - set(before), set())
    sweep.expect_end(command, 0, "FINISHED")
    return sweep


def limited(folder: Path, epochs: int) -> Disturbed:
    """Trials that take longer than their jobs may."""
    sweep = Disturbed(folder, epochs, "over the time limit", *LEFT, "hydra.launcher.time_limit=2")
    sweep.expect_end(sweep.start(), 0, "SCHEDULED")
    jobs, restarts = waiting_or_running(), 0

    def over() -> bool:
        nonlocal restarts
        said = [_said("scontrol", "show", "job", job) for job in jobs]
        counts = (int(it.partition("Restarts=")[2].split()[0]) for it in said if "Restarts=" in it)
        restarts = max(restarts, sum(counts))
        return not waiting_or_running()

    until(1800, over)
    sweep.verdict.kills["time limit"] += restarts
    sweep.expect("whether a job met its limit", restarts > 0, True)
    sweep.expect_end(sweep.start(), 0, "FINISHED")
    return sweep


def cancelled(folder: Path, epochs: int) -> Disturbed:
    """A job that runs is cancelled: its trial is KILLED, the others finish; the same command goes on with it."""
    sweep = Disturbed(folder, epochs, "cancelled", *ON_SLURM)
    command = sweep.start()
    sweep.until_under_way(2)
    queue.cancel([next(task for task, state in queue.states().items() if state == "RUNNING")])
    sweep.happened("scancel of a job that runs")
    sweep.expect_end(command, 1, "FAILED")
    statuses = sorted(record.status for record in trial_records(sweep.store))
    sweep.expect("statuses", statuses, ["FINISHED", "KILLED"])
    sweep.expect_end(sweep.start(), 0, "FINISHED")
    return sweep


def report(sweeps: list[Disturbed], epochs: int, seconds: float) -> str:
    lines = [
        "# Sweeps through Slurm",
        "",
        f"`python -m src.train {shlex.join(SWEEP)} trainer.max_epochs={epochs}`",
        "with `hydra/launcher=slurm`, on Debian's Slurm of one node with two processors, each in a store of its own;",
        "against `hydra/launcher=local`.",
        "",
        "| sweep | events | commands given | trials | points compared | faults |",
        "|---|---|---|---|---|---|",
    ]
    for sweep in sweeps:
        verdict = sweep.verdict
        events = ", ".join(f"{count} × {event}" for event, count in verdict.kills.items())
        faults = "; ".join(verdict.faults) or "0"
        lines.append(
            f"| {sweep.name} | {events} | {verdict.starts} | {verdict.trials} | {verdict.points:,} | {faults} |"
        )
    is_faulty = any(sweep.verdict.faults for sweep in sweeps)
    lines += ["", "Faults found." if is_faulty else f"Faults: {SURVIVED}.", "", f"{seconds:.0f} s; {machine()}"]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--root", type=Path, help="where Slurm's packages are unpacked, if they are not installed")
    parser.add_argument("--epochs", type=int, default=150, help="of a trial: long enough to be met in the middle")
    parser.add_argument("--only", nargs="*", help="names of the events, left_alone say; else all")
    parser.add_argument("--write", type=Path, help="the Markdown file to write")
    arguments = parser.parse_args()
    end_in_order()
    start, epochs = time.monotonic(), arguments.epochs
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "slurm").mkdir()
        calm = Disturbed(folder, epochs, "calm", "hydra.launcher.slots=2")
        calm.expect_end(calm.start(), 0, "FINISHED")
        events: dict[str, Callable[[Slurm], Disturbed]] = {
            "left_alone": lambda _: left_alone(folder, epochs),
            "requeued": lambda cluster: requeued(folder, epochs, cluster),
            "limited": lambda _: limited(folder, epochs),
            "cancelled": lambda _: cancelled(folder, epochs),
        }
        sweeps = []
        with slurm(folder / "slurm", arguments.root) as cluster:
            for event in arguments.only or events:
                sweeps.append(events[event](cluster))
                compare(calm.store, sweeps[-1].store, sweeps[-1].verdict)
                print(f"{event}: {sweeps[-1].verdict}", flush=True)
    write_result(report(sweeps, epochs, time.monotonic() - start), arguments.write)
    sys.exit(any(sweep.verdict.faults for sweep in sweeps))


if __name__ == "__main__":
    main()
