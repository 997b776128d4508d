"""The Ray tasks of a sweep, seen from the process that starts them."""

import os
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace

import ray
from ray.exceptions import NodeDiedError, OutOfMemoryError, RayError, RayTaskError, TaskCancelledError

from recurrent_cells.scratch import new_log
from recurrent_cells.sweeps.plan import Trial
from recurrent_cells.sweeps.ray.task import train
from recurrent_cells.sweeps.shipment import Shipment, whereabouts
from recurrent_cells.tracking.patience import patiently, store_failures
from recurrent_cells.tracking.provenance import ATTEMPT_VARIABLE
from recurrent_cells.tracking.recovery import mark_attempt_killed
from recurrent_cells.tracking.store import Store
from recurrent_cells.trial.claim import Train
from recurrent_cells.trial.outcome import Outcome

SECONDS_TO_DIE = 10.0
# What a task gives back.
Said = tuple[list[Outcome], str]


class Tasks:
    """Trials on their way: started, waited for, cancelled, ended."""

    def __init__(self, store: Store, train_one: Train, num_cpus: float, num_gpus: float, most: int | None) -> None:
        self._store = store
        hidden = {} if num_gpus else {"CUDA_VISIBLE_DEVICES": ""}  # what a trial did not ask for it must not use
        self._shipment = ray.put(Shipment(train_one, most, environment=_environment() | hidden))
        # Not started again by Ray: the sweep does, once the store knows what became of the run. A task with a GPU has
        # a process of its own: in another's CUDA would still be on the other's GPU.
        alone = {"max_calls": 1} if num_gpus else {}
        self._train = ray.remote(num_cpus=num_cpus, num_gpus=num_gpus, max_retries=0, **alone)(train)
        self.running: dict[ray.ObjectRef[Said], tuple[Sequence[Trial], str]] = {}

    def start(self, trials: Sequence[Trial]) -> None:
        """Start a task for a trial, or for several that train as one program."""
        attempt = uuid.uuid4().hex
        configs = [trial.config for trial in trials]
        task = self._train.remote(self._shipment, configs, {ATTEMPT_VARIABLE: attempt})
        self.running[task] = trials, attempt

    def ended(self, seconds: float) -> Iterator[tuple[Trial, Outcome]]:
        """The trials that have ended, or end within so many seconds."""
        if not self.running:
            time.sleep(seconds)  # until a node has room
        else:
            for task in ray.wait(list(self.running), timeout=seconds)[0]:
                trials, attempt = self.running.pop(task)
                yield from zip(trials, self._outcomes(task, attempt, len(trials)), strict=True)

    def _outcomes(self, task: "ray.ObjectRef[Said]", attempt: str, count: int) -> list[Outcome]:
        try:
            outcomes, said = ray.get(task)
        except TaskCancelledError:
            return [Outcome("killed", error="cancelled before it began")] * count
        except RayTaskError as error:  # a node where the code does not run
            return [Outcome("failed", error=f"{type(error.cause).__name__}: {error.cause}")] * count
        except RayError as error:
            cause = _cause(error)
            patiently(lambda: mark_attempt_killed(self._store, attempt, cause), self._store.patience)
            return [Outcome("killed", error=cause)] * count
        return [replace(it, log=_as_file(said)) if it.status == "failed" and said else it for it in outcomes]

    def cancel(self) -> None:
        """Have running trials save their state and stop, and those that have not begun not begin."""
        for task in self.running:
            ray.cancel(task, force=False)

    def end(self) -> None:
        """End what still runs at once."""
        tasks = list(self.running)
        for task in tasks:
            ray.cancel(task, force=True)
        if tasks:
            ray.wait(tasks, num_returns=len(tasks), timeout=SECONDS_TO_DIE)
        for _, attempt in self.running.values():
            with suppress(*store_failures()):
                mark_attempt_killed(self._store, attempt, "ended with its sweep")


def _environment() -> dict[str, str]:
    """What trials need of this process's environment; credentials travel so, for Ray logs its runtime environments."""
    return {name: value for name, value in os.environ.items() if name.startswith("MLFLOW_")} | whereabouts()


def _cause(error: RayError) -> str:
    if isinstance(error, NodeDiedError):
        return "its node died"
    if isinstance(error, OutOfMemoryError):
        return "ended by Ray, its node had no memory left"
    return f"its Ray worker or node died ({type(error).__name__})"


def _as_file(text: str) -> str:
    path = new_log("trial-")
    path.write_text(text)
    return str(path)
