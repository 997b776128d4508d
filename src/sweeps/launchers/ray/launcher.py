"""Trials as Ray tasks, on this machine or on the nodes of a cluster."""

import importlib.util
from collections import deque
from collections.abc import Sequence

from hydra.core.utils import JobReturn, setup_globals
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from src.errors import UserError
from src.interrupts import handled
from src.sweeps.launchers.planned import PlannedLauncher
from src.sweeps.launchers.ray import cluster
from src.sweeps.outcome import Outcome, job_return
from src.sweeps.view import View

POLL_SECONDS = 0.1


class RayLauncher(PlannedLauncher):
    """Runs each trial as a Ray task. The death of a node costs the trials on it, which the sweep starts again.

    Args:
        address: null starts Ray on this machine for the length of the sweep; HOST:PORT or `auto` is a cluster that
            this machine is a node of.
        num_cpus: what a trial takes of a node; fractions share one.
        num_gpus: the same; null is 1 where trials may use a GPU and the cluster has one, else 0.
    """

    def __init__(self, address: str | None = None, num_cpus: float = 1, num_gpus: float | None = None) -> None:
        self.address, self.num_cpus, self.num_gpus = address, num_cpus, num_gpus

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Raises UserError if Ray is not installed, or what a trial takes will not do."""
        if importlib.util.find_spec("ray") is None:
            raise UserError("hydra/launcher=ray: Ray is not installed; pip install --editable '.[ray]' installs it")
        for key, amount in (("num_cpus", self.num_cpus), ("num_gpus", self.num_gpus or 0)):
            if amount < 0 or (amount > 1 and amount % 1 != 0):
                raise UserError(f"hydra.launcher.{key}={amount:g}: allowed is a whole number or a fraction of 1")
        super().setup(hydra_context=hydra_context, task_function=task_function, config=config)

    def prepare(self) -> None:
        """Start Ray, or connect to the cluster.

        Raises:
            UserError: if there is no cluster, no node can hold a trial, or the store is a file of this machine and
                some nodes are on others.
        """
        from src.tracking.store import open_store

        cluster.connect(self.address)
        if self.num_gpus is None:
            self.num_gpus = 1 if self.config.trainer.accelerator != "cpu" and cluster.has_gpus() else 0
        if not self.num_cpus and not self.num_gpus:
            raise UserError("hydra.launcher.num_cpus=0: a trial must take something; give num_cpus or num_gpus")
        if not self._places():
            raise UserError(
                f"hydra.launcher.num_cpus={self.num_cpus:g} num_gpus={self.num_gpus:g}: "
                "no node of the cluster has as much; take less"
            )
        self.store = open_store(self.config.tracking.experiment, self.config.tracking.patience)
        if self.store.is_file and (others := cluster.other_hosts()):
            raise UserError(
                f"MLFLOW_TRACKING_URI={self.store.address}: no file for trials on other machines ({others[0]}); "
                "set it to a server, http://HOST:PORT"
            )

    def _places(self) -> int:
        return cluster.places(self.num_cpus, self.num_gpus or 0)

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Run every job; one Outcome each, in a JobReturn that Hydra counts as completed.

        Raises:
            Interrupted: once every running trial has saved its state and stopped.
        """
        from src.sweeps.launchers.ray.tasks import Tasks

        setup_globals()
        self.prepare()
        jobs = list(job_overrides)
        waiting, composed = deque(range(len(jobs))), deque[tuple[int, DictConfig]]()
        outcomes: dict[int, Outcome] = {}
        tasks = Tasks(self.store, self.hydra_context, self.task_function, self.num_cpus, self.num_gpus or 0)
        with handled() as interruption, View(self.labels(jobs), self._places()) as view:
            try:
                with interruption.deferred():
                    while ((waiting or composed) and not interruption.asked) or tasks.running:
                        free = 0 if interruption.asked else self._places() - len(tasks.running)
                        for _ in range(min(free, len(composed))):
                            index, config = composed.popleft()
                            tasks.start(index, config)
                            view.started(index)
                        if ahead := bool(waiting) and len(composed) < self._places():  # while trials run
                            index = waiting.popleft()
                            composed.append((index, self.compose(initial_job_idx + index, jobs[index])))
                        for index, outcome in tasks.ended(0.0 if ahead else POLL_SECONDS):
                            outcomes[index] = outcome
                            view.ended(index, outcome)
                        if interruption.take() is not None:
                            view.stopping()
                            tasks.cancel()
                        view.tick()
                interruption.raise_if_asked()
            finally:
                tasks.end()
        return [job_return(jobs[index], outcomes[index]) for index in range(len(jobs))]
