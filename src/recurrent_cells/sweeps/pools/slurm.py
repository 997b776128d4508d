"""Trials as Slurm jobs, waited for or left to Slurm."""

import importlib.util
import shutil
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from recurrent_cells.errors import UserError
from recurrent_cells.sweeps.pools import Pool
from recurrent_cells.sweeps.slurm import queue
from recurrent_cells.tracking.patience import patiently
from recurrent_cells.trial.claim import Train
from recurrent_cells.trial.outcome import Outcome

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from recurrent_cells.sweeps.plan import Trial
    from recurrent_cells.sweeps.shipment import Shipment
    from recurrent_cells.sweeps.slurm.arrays import Arrays
    from recurrent_cells.sweeps.slurm.queue import Task
    from recurrent_cells.tracking.store import Store

MOST_OF_AN_ARRAY = 1000  # Slurm's own limit, unless a cluster sets another
SECONDS_BETWEEN_LOOKS = 5.0
SECONDS_TO_DIE = 20.0
LONGEST_NOTICE = 90  # seconds before the time limit at which a trial is told to save its state


class SlurmPool(Pool):
    """Trains each trial as a task of a job array. What else a cluster wants to know: sbatch's own variables, SBATCH_….

    Args:
        partition: null is the cluster's default.
        time_limit: of a job, in minutes; a trial that takes longer saves its state and goes on in a requeued job.
        cpus: of a job.
        gpus: of a job.
        mem: of a job, as Slurm writes it, 4G say; null is the cluster's default.
        slots: how many jobs run at once.
        wait: whether the command stays until all trials have ended; else it ends when they are submitted.
    """

    name = "slurm"
    poll_seconds = 0.1

    def __init__(
        self,
        partition: str | None = None,
        time_limit: int = 60,
        cpus: int = 1,
        gpus: int = 0,
        mem: str | None = None,
        slots: int = 100,
        wait: bool = True,
    ) -> None:
        if importlib.util.find_spec("submitit") is None:
            raise UserError(
                "hydra/launcher=slurm: submitit is not installed; pip install --editable '.[slurm]' installs it"
            )
        if shutil.which("sbatch") is None:
            raise UserError("hydra/launcher=slurm: there is no sbatch on the PATH; start the sweep on a login node")
        for key, count in {"time_limit": time_limit, "cpus": cpus, "gpus": gpus, "slots": slots}.items():
            if count < (least := 0 if key == "gpus" else 1):
                raise UserError(f"hydra.launcher.{key}={count}: allowed is an integer of at least {least}")
        self._asked = Request(partition, time_limit, cpus, gpus, mem)
        self._slots, self.waits = slots, wait
        self._arrays: Arrays
        self._shipment: Shipment
        self._known: dict[str, Task] = {}
        self._running: dict[Task, Trial] = {}
        self._ended: list[tuple[Trial, Outcome]] = []
        self._next_look = 0.0
        self._stopping = False
        self._to_cancel: set[Task] = set()
        self._withdrawn: dict[Task, Outcome] = {}

    def prepare(self, train: Train, config: "DictConfig", store: "Store") -> None:
        """Have Slurm say whether it would take such jobs.

        Raises:
            UserError: if not, or if the store is a file of this machine and some nodes are others.
        """
        super().prepare(train, config, store)
        try:
            queue.check(self._asked.flags)
            nodes = queue.hosts(self._asked.partition)
        except queue.SlurmError as error:
            raise UserError(f"hydra/launcher=slurm: {error}; hydra.launcher.* say what a job asks for") from None
        self.refuse_file(nodes)

    def begin(self) -> None:
        from recurrent_cells.sweeps.shipment import Shipment, whereabouts
        from recurrent_cells.sweeps.slurm.arrays import Arrays

        hidden = {} if self._asked.gpus else {"CUDA_VISIBLE_DEVICES": ""}  # what a trial did not ask for is not its
        self._shipment = Shipment(self.train, environment=whereabouts() | hidden)
        self._arrays = Arrays(self.store, self._asked.options, self._slots)
        complaint = "Slurm does not answer ({reason}); once it does the same command goes on"
        self._known = patiently(self._arrays.under_way, self.store.patience, queue.SlurmError, complaint)
        patiently(lambda: self._arrays.tidy(self._known.values()), self.store.patience)

    @property
    def slots(self) -> int:
        return self._slots

    @property
    def running(self) -> int:
        return len(self._running)

    def holds(self, trial: "Trial") -> bool:
        from recurrent_cells.sweeps.slurm.arrays import key_of

        return not self.waits or key_of(trial) in self._known

    def grouped(self, trials: "Sequence[Trial]") -> "list[Sequence[Trial]]":
        """An array each."""
        return [trials[start : start + MOST_OF_AN_ARRAY] for start in range(0, len(trials), MOST_OF_AN_ARRAY)]

    def where(self, groups: "Iterable[Sequence[Trial]]", count: int) -> str:
        return f"through Slurm, at most {self._slots} at once"

    def start(self, trials: "Sequence[Trial]") -> None:
        """Submit the trials but for those that an earlier command submitted and that wait or run."""
        from recurrent_cells.sweeps.slurm.arrays import key_of

        tasks = {self._known.pop(key_of(it)): it for it in trials if key_of(it) in self._known}
        new = [trial for trial in trials if trial not in tasks.values()]
        under_way = [*tasks, *self._known.values(), *self._running]
        try:
            if new:
                after = under_way if len(under_way) + len(new) > self._slots else []
                tasks |= dict(zip(self._arrays.submit(self._shipment, new, after), new, strict=True))
        except queue.SlurmError as error:
            self._ended += [(trial, Outcome("failed", error=str(error))) for trial in new]
        if self.waits:
            self._running |= tasks
        else:
            self._ended += [(it, Outcome("queued", error=f"Slurm job {task.job_id}")) for task, it in tasks.items()]

    def ended(self, seconds: float) -> "Iterator[tuple[Trial, Outcome]]":
        if not self._ended:
            time.sleep(seconds)
        if self._running and time.monotonic() > self._next_look:
            with suppress(queue.SlurmError):  # asked again soon
                self._look()
            self._next_look = time.monotonic() + SECONDS_BETWEEN_LOOKS
        ended, self._ended = self._ended, []
        yield from ended

    def _look(self) -> None:
        self._cancel()
        states = queue.states()
        for task in [it for it in self._running if states.get(it, queue.GONE) in queue.OVER | {queue.GONE}]:
            outcome = self._outcome(task, states.get(task, queue.GONE))
            self._ended.append((self._running.pop(task), outcome))
        waiting = {it: trial for it, trial in self._running.items() if states[it] == queue.WAITING}
        refused = {it: told for it, trial in waiting.items() if (told := self.refused(trial)) is not None}
        queue.cancel(refused)  # one that begins in this moment hears of the same by itself
        self._withdrawn |= refused

    def _outcome(self, task: "Task", state: str) -> Outcome:
        """What became of the trial of a task that is over."""
        outcome = self._arrays.outcome(task, state, self._stopping)
        return self._withdrawn.get(task, outcome) if state in (queue.CANCELLED, queue.GONE) else outcome

    def stop(self, signum: int) -> None:
        self._stopping, self._to_cancel = True, set(self._running)
        with suppress(queue.SlurmError):
            self._cancel()

    def _cancel(self) -> None:
        """Cancel what is to be cancelled; if Slurm does not answer, it is asked again at the next look."""
        queue.cancel(self._to_cancel & self._running.keys())
        self._to_cancel.clear()

    def end(self) -> None:
        self.stop(0)
        deadline = time.monotonic() + SECONDS_TO_DIE
        while self._running and time.monotonic() < deadline:
            with suppress(queue.SlurmError):
                self._look()
            time.sleep(self.poll_seconds)


@dataclass(frozen=True)
class Request:
    """What a job asks of Slurm."""

    partition: str | None
    minutes: int
    cpus: int
    gpus: int
    mem: str | None

    @property
    def options(self) -> dict[str, object]:
        """In the words of submitit; srun does not ask for sbatch's CPUs by itself."""
        asked = {
            "job_name": queue.JOB_NAME,
            "partition": self.partition,
            "time": self.minutes,
            "signal_delay_s": min(LONGEST_NOTICE, 15 * self.minutes),
            "cpus_per_task": self.cpus,
            "srun_args": [f"--cpus-per-task={self.cpus}"],
            "gpus_per_node": self.gpus or None,
            "mem": self.mem,
            "additional_parameters": {"requeue": True},
        }
        return {key: value for key, value in asked.items() if value is not None}

    @property
    def flags(self) -> list[str]:
        """In the words of sbatch, as far as a cluster may refuse them."""
        asked = {
            "partition": self.partition,
            "time": self.minutes,
            "cpus-per-task": self.cpus,
            "gpus-per-node": self.gpus or None,
            "mem": self.mem,
        }
        return [f"--{key}={value}" for key, value in asked.items() if value is not None]
