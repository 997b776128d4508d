"""Sweeps through a real Slurm of one node, disturbed as clusters do, held against the local launcher to the bit.

    python -m benchmarks.slurm --write benchmarks/results/slurm.md

Needs Debian's packages slurm-wlm and munge: installed, or unpacked (dpkg -x) below a folder that --root names. The
Slurm is started for the benchmark, without systemd, on 127.0.0.1; jobs end with it.
"""

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

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
    *("-m", "model=lstm,gru", "seed=0,1", "trainer=cpu", "model.hidden_size=50", "trainer.max_epochs=20"),
    *("trainer.checkpoint_every=25", "model.output_dropout=0.1", "sweep.report=false", "registry=false"),
)
# Long enough to be met in the middle.
LONG = (*SWEEP, "trainer.max_epochs=150")
ON_SLURM = ("hydra/launcher=slurm", "hydra.launcher.slots=2")


def missing() -> list[str]:
    """The programs of Slurm that are not on the PATH."""
    return [name for name in PROGRAMS if shutil.which(name) is None]


@contextmanager
def slurm(folder: Path, root: Path | None = None) -> Iterator[None]:
    """A Slurm of one node with two processors on 127.0.0.1, its commands on the PATH, while the body runs.

    Args:
        root: where the packages are unpacked; None: they are installed.
    """
    environment = _unpacked(root) if root else {}
    os.environ |= environment | {"SLURM_CONF": str(folder / "slurm.conf")}
    if left := missing():
        raise SystemExit(f"no {', '.join(left)} on the PATH: install slurm-wlm and munge, or give --root")
    for name in ("munge", "state", "spool"):
        (folder / name).mkdir(mode=0o700)
    (folder / "munge" / "key").write_bytes(os.urandom(128))
    (folder / "munge" / "key").chmod(0o600)
    plugins = f"PluginDir={root}/usr/lib/x86_64-linux-gnu/slurm-wlm\n" if root else ""
    port, node_port = _free_ports()
    (folder / "slurm.conf").write_text(
        CONFIG.format(folder=folder, plugins=plugins, port=port, node_port=node_port).strip() + "\n"
    )
    kept = {"key-file": "key", "pid-file": "pid", "log-file": "log", "seed-file": "seed", "socket": "socket"}
    files = [f"--{option}={folder}/munge/{name}" for option, name in kept.items()]
    stepd = ["-d", f"{root}/usr/sbin/slurmstepd"] if root else []
    daemons = [
        ["munged", "--foreground", "--force", *files],
        ["slurmctld", "-D"],
        ["slurmd", "-D", "-N", "localhost", *stepd],
    ]
    running = []
    try:
        for daemon in daemons:
            with (folder / f"{daemon[0]}.out").open("wb") as output:
                running.append(subprocess.Popen(daemon, stdout=output, stderr=output))
            time.sleep(1.0)
        until(60, lambda: "idle" in _said("sinfo", "--noheader", "--format=%T"))
        yield
    finally:
        subprocess.run(["scancel", f"--name={queue.JOB_NAME}"], check=False, capture_output=True)
        for daemon in reversed(running):
            daemon.terminate()
            daemon.wait(timeout=30)


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
    import socket

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
