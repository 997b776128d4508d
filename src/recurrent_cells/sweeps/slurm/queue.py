"""Slurm's commands: what would be taken, what waits and runs, what is to end."""

import subprocess
from collections.abc import Iterable
from dataclasses import dataclass

# The name of all jobs; the comment of an array says which of them they are.
JOB_NAME = "recurrent-cells"
# Slurm's words for a job that waits, and for one that is over; while it is requeued it has others.
WAITING, CANCELLED = "PENDING", "CANCELLED"
OVER = {
    *("BOOT_FAIL", CANCELLED, "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL"),
    *("OUT_OF_MEMORY", "PREEMPTED", "TIMEOUT"),
}
GONE = "GONE"  # our word for a job that Slurm has forgotten
SECONDS_TO_ANSWER = 60.0


class SlurmError(Exception):
    """A command of Slurm's failed; the message is Slurm's."""


@dataclass(frozen=True)
class Task:
    """A task of a job array, `index` among the trials of the array."""

    job_id: str
    array: str
    index: int

    @property
    def attempt(self) -> str:
        """By which the run of the task's trial is known in the store."""
        return f"{self.array}-{self.index}"


def states() -> dict[Task, str]:
    """What Slurm says of each task that it knows: all that wait or run, and some that are over."""
    # array's job, place in the array (N/A for a job alone), state, comment
    options = ("--noheader", "--array", "--states=all", f"--name={JOB_NAME}", "--format=%F|%K|%T|%k")
    found = {}
    for line in _answer("squeue", *options).splitlines():
        job, place, state, array = line.strip().split("|", 3)
        alone = not place.isdecimal()
        found[Task(job if alone else f"{job}_{place}", array, 0 if alone else int(place))] = state
    return found


def check(options: Iterable[str]) -> None:
    """Raise SlurmError if no job with these options of sbatch would be taken."""
    _answer("sbatch", "--test-only", *options, "--wrap=true")


def hosts(partition: str | None) -> set[str]:
    """The names of the machines on which jobs may run."""
    chosen = [] if partition is None else [f"--partition={partition}"]
    return set(_answer("sinfo", "--noheader", "--Node", "--format=%n", *chosen).split())


def cancel(tasks: Iterable[Task]) -> None:
    """Have tasks that run end, after some seconds to save their state, and those that wait not begin."""
    if job_ids := [task.job_id for task in tasks]:
        _answer("scancel", "--quiet", *job_ids)


def requeue(job_id: str) -> None:
    """Have a job that runs begin again later."""
    _answer("scontrol", "requeue", job_id)


def _answer(*command: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS_TO_ANSWER, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SlurmError(f"{command[0]}: {error}") from None
    if done.returncode:
        raise SlurmError((done.stderr.strip().splitlines() or [f"{command[0]} ended with {done.returncode}"])[0])
    return done.stdout
