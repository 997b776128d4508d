"""The job arrays that a store's trials were submitted in: a folder each, with all that passes between the machines."""

import hashlib
import json
import shlex
import shutil
import time
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from submitit import SlurmExecutor
from submitit.core.utils import FailedJobError, FailedSubmissionError, JobPaths

from recurrent_cells.files import write_atomically
from recurrent_cells.paths import HOME, HOME_VARIABLE
from recurrent_cells.sweeps.plan import Trial
from recurrent_cells.sweeps.shipment import Shipment
from recurrent_cells.sweeps.slurm import job, queue
from recurrent_cells.sweeps.slurm.queue import Task
from recurrent_cells.tracking.patience import patiently
from recurrent_cells.tracking.recovery import attempts_at_work, mark_attempt_killed
from recurrent_cells.tracking.store import Store
from recurrent_cells.trial.outcome import Outcome

TRIALS = "trials.json"
# How long the folder of an array whose jobs are gone is kept, for its logs.
SECONDS_TO_KEEP = 86400.0


class Arrays:
    """Submits trials as job arrays, and knows of all that were submitted, by whatever command, what became of them.

    Args:
        options: of sbatch, as submitit has them.
        slots: how many tasks of an array run at once.
    """

    def __init__(self, store: Store, options: Mapping[str, Any], slots: int) -> None:
        self._store, self._options, self._slots = store, options, slots
        self._folder = store.folder / "slurm"
        self._trials = cache(self._read_trials)

    def under_way(self) -> dict[str, Task]:
        """The tasks that wait or run, by the key of their trial."""
        found = {}
        for task, state in queue.states().items():
            trials = self._trials(task.array)
            if state not in queue.OVER and task.index < len(trials):
                found[trials[task.index]] = task
        return found

    def submit(self, shipment: Shipment, trials: Sequence[Trial], after: Iterable[Task]) -> list[Task]:
        """Submit trials as one array, none of which begins before the arrays of the tasks `after` have ended.

        Raises:
            SlurmError: if Slurm refuses.
        """
        array = uuid.uuid4().hex
        folder = self._folder / array
        # Before there is a job: of one that runs everyone can tell the trial.
        write_atomically(folder / TRIALS, json.dumps([key_of(trial) for trial in trials]).encode())
        executor = SlurmExecutor(folder)
        options = {**self._options, "comment": array, "array_parallelism": self._slots}
        if earlier := sorted({task.job_id.partition("_")[0] for task in after}):
            options["dependency"] = ":".join(["afterany", *earlier])
        executor.update_parameters(**options, setup=[f"export {HOME_VARIABLE}={shlex.quote(str(HOME))}"])
        try:
            with executor.batch():
                jobs = [
                    executor.submit(job.train, shipment, trial.config, folder, index)
                    for index, trial in enumerate(trials)
                ]
        except (FailedJobError, FailedSubmissionError) as error:
            shutil.rmtree(folder, ignore_errors=True)
            raise queue.SlurmError(str(error).strip().splitlines()[-1]) from None
        return [Task(str(it.job_id), array, index) for index, it in enumerate(jobs)]

    def outcome(self, task: Task, state: str, stopping: bool) -> Outcome:
        """What became of the trial of a task that is over; `stopping`: the sweep itself cancels its tasks."""
        folder = self._folder / task.array
        file = job.outcome_file(folder, task.index)
        log = str(JobPaths(folder, task.job_id, 0).stderr)
        if file.exists():
            outcome = Outcome(**json.loads(file.read_text()))
            if outcome.status != "killed":
                return replace(outcome, log=log) if outcome.status == "failed" else outcome
        cause = f"Slurm job {task.job_id} {state.lower()}"
        patiently(lambda: mark_attempt_killed(self._store, task.attempt, cause), self._store.patience)
        unwanted = state == queue.CANCELLED and not stopping  # whoever cancels a job does not want it again
        return Outcome("failed" if unwanted else "killed", error=cause, log=log)

    def tidy(self, under_way: Iterable[Task]) -> None:
        """Have the store know which trials were lost with their jobs; remove what is not needed any more."""
        attempts, arrays = {task.attempt for task in under_way}, {task.array for task in under_way}
        known = {folder.name for folder in self._folder.glob("*")}
        for attempt in attempts_at_work(self._store):
            if attempt.partition("-")[0] in known and attempt not in attempts:
                mark_attempt_killed(self._store, attempt, "its Slurm job is gone")
        for name in known - arrays:
            if time.time() - (self._folder / name).stat().st_mtime > SECONDS_TO_KEEP:
                shutil.rmtree(self._folder / name, ignore_errors=True)

    def _read_trials(self, array: str) -> list[str]:
        """The keys of an array's trials; empty if the array is of another store."""
        try:
            return list(json.loads((self._folder / Path(array).name / TRIALS).read_text()))
        except OSError:
            return []


def key_of(trial: Trial) -> str:
    """What a job trains: another start of all trials is another job."""
    earlier = " ".join(sorted(trial.config.sweep.earlier))
    return f"{trial.fingerprint}.{hashlib.sha256(earlier.encode()).hexdigest()[:8]}"
