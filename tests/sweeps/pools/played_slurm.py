"""Slurm's commands, played by one small program, and a node that runs jobs when it is told to."""

import fcntl
import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from recurrent_cells.files import write_atomically

# sbatch keeps a job's command and trials' number, squeue lists them; `start` and `end` play the node.
COMMANDS = """#!{python}
import fcntl, json, os, re, sys
from pathlib import Path

name, arguments, folder = Path(sys.argv[0]).name, sys.argv[1:], Path({folder!r})
jobs = folder / "jobs.json"
lock = (folder / "lock").open("w")
fcntl.flock(lock, fcntl.LOCK_EX)
known = json.loads(jobs.read_text()) if jobs.exists() else {{}}
if name == "sbatch" and "--test-only" in arguments:
    sys.exit("sbatch: error: invalid partition specified: nope" if "--partition=nope" in arguments else 0)
if name == "sbatch" and (folder / "full").exists():
    sys.exit("sbatch: error: job submit limit exceeded")
if name == "sbatch":
    script = Path(arguments[0]).read_text()
    array = re.search(r"--array=0-([0-9]+)", script)
    comment = re.search(r"--comment=(.*)", script).group(1)
    number = str(len({{it.partition("_")[0] for it in known}}) + 1)
    for index in range(int(array.group(1)) + 1) if array else [None]:
        job = number if index is None else f"{{number}}_{{index}}"
        known[job] = {{"state": "PENDING", "comment": comment, "script": script}}
    print(f"Submitted batch job {{number}}")
if name == "squeue" and (folder / "busy").exists():
    (folder / "busy").unlink()
    sys.exit("slurm_load_jobs error: Socket timed out on send/recv operation")
if name == "squeue":
    for job, it in known.items():
        number, _, index = job.partition("_")
        print("|".join([number, index or "N/A", it["state"], it["comment"]]))
if name == "scancel" and (folder / "deaf").exists():
    (folder / "deaf").unlink()
    sys.exit("scancel: error: Unable to contact slurm controller")
if name == "scancel":
    for job in arguments[1:]:
        known[job]["state"] = "CANCELLED"
if name == "sinfo":
    print((folder / "nodes").read_text() if (folder / "nodes").exists() else "localhost")
if name == "scontrol":
    known[arguments[1]]["state"] = "PENDING"
if name in ("sbatch", "scancel", "scontrol"):
    fresh = folder / f"{{os.getpid()}}.json"
    fresh.write_text(json.dumps(known))
    fresh.replace(jobs)
with (folder / "asked").open("a") as asked:
    print(name, file=asked)
"""


class Cluster:
    """What Slurm knows, and a node that trains a job in a process forked from this one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def jobs(self) -> dict[str, dict[str, str]]:
        file = self.folder / "jobs.json"
        return json.loads(file.read_text()) if file.exists() else {}

    def asked(self, name: str) -> int:
        """How often a command was given."""
        return (self.folder / "asked").read_text().split().count(name)

    @property
    def waiting(self) -> list[str]:
        return [job for job, it in self.jobs.items() if it["state"] == "PENDING"]

    def set(self, job: str, state: str) -> None:
        with (self.folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            jobs = self.jobs
            jobs[job]["state"] = state
            write_atomically(self.folder / "jobs.json", json.dumps(jobs).encode())

    def start(self, job: str, restarts: int = 0) -> int:
        """Run what the job's script says; its process."""
        from submitit.core.submission import process_job

        folder = Path(self.jobs[job]["script"].split()[-1])
        array, _, index = job.partition("_")
        variables = {"SLURM_JOB_ID": job, "SLURM_RESTART_COUNT": str(restarts), "SUBMITIT_EXECUTOR": "slurm"}
        if index:
            variables |= {"SLURM_ARRAY_JOB_ID": array, "SLURM_ARRAY_TASK_ID": index}
        self.set(job, "RUNNING")
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                os.environ |= variables
                process_job(folder)
                code = 0
            finally:
                os._exit(code)
        return pid

    def end(self, job: str, pid: int) -> None:
        """Wait for a job's process; the job is over unless it was requeued."""
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        if self.jobs[job]["state"] == "RUNNING":
            self.set(job, "FAILED" if code else "COMPLETED")

    def run(self, *jobs: str) -> None:
        for job in jobs:
            self.end(job, self.start(job))

    @contextmanager
    def node(self) -> Iterator[None]:
        """Run what waits, one job at a time, while the body runs."""
        pid = os.fork()
        if pid == 0:
            os.setpgid(0, 0)
            try:
                while True:
                    self.run(*self.waiting[:1])
                    time.sleep(0.05)
            finally:
                os._exit(1)
        try:
            yield
        finally:
            os.killpg(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
