"""Trials as Ray tasks, on this machine or on the nodes of a cluster."""

import importlib.util
from collections.abc import Mapping, Sequence

from hydra.core.utils import JobReturn, setup_globals
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from recurrent_cells.errors import UserError
from recurrent_cells.interrupts import handled
from recurrent_cells.sweeps.pools.feed import Feed, Job, Listed
from recurrent_cells.sweeps.pools.packed import AUTO, check_max_pack
from recurrent_cells.sweeps.pools.planned import PlannedLauncher
from recurrent_cells.sweeps.pools.ray import cluster
from recurrent_cells.sweeps.view import View
from recurrent_cells.trial.outcome import job_return

POLL_SECONDS = 0.1


class RayLauncher(PlannedLauncher):
    """Runs each trial, or each pack of them, as a Ray task.

    The death of a node costs the trials on it, which the sweep starts again.

    Args:
        address: null starts Ray on this machine for the length of the sweep; HOST:PORT or `auto` is a cluster that
            this machine is a node of.
        num_cpus: what a trial takes of a node; fractions share one.
        num_gpus: the same; null is 1 where trials may use a GPU and the cluster has one, else 0.
        max_pack: null trains each trial by itself; else as with `packed`.
    """

    def __init__(
        self,
        address: str | None = None,
        num_cpus: float = 1,
        num_gpus: float | None = None,
        max_pack: int | str | None = None,
    ) -> None:
        self.address, self.num_cpus, self.num_gpus, self.max_pack = address, num_cpus, num_gpus, max_pack

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Raises UserError if Ray is not installed, or what a trial takes will not do."""
        if importlib.util.find_spec("ray") is None:
            raise UserError("hydra/launcher=ray: Ray is not installed; pip install --editable '.[ray]' installs it")
        for key, amount in (("num_cpus", self.num_cpus), ("num_gpus", self.num_gpus or 0)):
            if amount < 0 or (amount > 1 and amount % 1 != 0):
                raise UserError(f"hydra.launcher.{key}={amount:g}: allowed is a whole number or a fraction of 1")
        if self.max_pack is not None:
            check_max_pack(self.max_pack)
        super().setup(hydra_context=hydra_context, task_function=task_function, config=config)

    def prepare(self) -> None:
        """Start Ray, or connect to the cluster.

        Raises:
            UserError: if there is no cluster, no node can hold a trial, or the store is a file of this machine and
                some nodes are on others.
        """
        from recurrent_cells.tracking.store import open_store

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
        self.prepare()
        jobs = [Job(*it) for it in zip(self.labels(list(job_overrides)), job_overrides, strict=True)]
        groups = self._groups(len(jobs))
        order = [place for group in groups for place in group]
        listed = Listed([jobs[place] for place in order])
        self._run(listed, initial_job_idx, {id(jobs[group[0]]): len(group) for group in groups})
        outcomes = dict(zip(order, listed.outcomes, strict=True))
        return [job_return(job.overrides, outcomes[place]) for place, job in enumerate(jobs)]

    def feed(self, feed: Feed, first_number: int = 0) -> None:
        """Run the jobs of a feed until it is done; raises as `launch`."""
        self.prepare()
        self._run(feed, first_number, {})

    def _groups(self, count: int) -> list[Sequence[int]]:
        """The places of jobs that are one task: packs, and single ones."""
        if self.max_pack is None or (self.max_pack == AUTO and not self.num_gpus):
            return [[place] for place in range(count)]
        from recurrent_cells.sweeps.packs import group_by_shape, parted

        packs, alone = group_by_shape(self.trials)
        return [*(part for pack in packs for part in parted(pack, self._places())), *([place] for place in alone)]

    def _next(self, feed: Feed, sizes: Mapping[int, int], number: int) -> tuple[list[Job], list[DictConfig]]:
        """The next jobs that are one task with their configs, numbered from `number`; none if there are none now."""
        first = feed.next()
        if first is None:
            return [], []
        rest = (feed.next() for _ in range(sizes.get(id(first), 1) - 1))
        group = [first, *(job for job in rest if job is not None)]
        return group, [self.compose(number + place, job.overrides) for place, job in enumerate(group)]

    def _run(self, feed: Feed, first_number: int, sizes: Mapping[int, int]) -> None:
        """Run a feed in tasks.

        Args:
            sizes: by the identity of a job, how many jobs, from it on, are one task; else it is one by itself.
        """
        from recurrent_cells.sweeps.pools.ray.tasks import Tasks

        setup_globals()
        most = None if self.max_pack in (None, AUTO) else int(str(self.max_pack))
        tasks = Tasks(self.store, self.hydra_context, self.task_function, self.num_cpus, self.num_gpus or 0, most)
        names: list[str] = []
        places: dict[int, int] = {}
        ahead: tuple[list[Job], list[DictConfig]] = ([], [])
        is_known = isinstance(feed, Listed)  # what comes next does not depend on what ends before
        with (
            handled() as interruption,
            View(names, self._places(), count=lambda: len(names) + feed.waiting) as view,
        ):
            try:
                with interruption.deferred():
                    while tasks.running or not (feed.done or interruption.asked):
                        has_room = not interruption.asked and len(tasks.running) < self._places()
                        if not ahead[0] and not interruption.asked and (has_room or is_known):
                            ahead = self._next(feed, sizes, first_number + len(names))
                        (group, configs), ahead = (ahead, ([], [])) if has_room else (([], []), ahead)
                        for job in group:
                            places[id(job)] = len(names)
                            names.append(job.label)
                            view.started(places[id(job)])
                        if group:
                            tasks.start(group, configs)
                        for job, outcome in tasks.ended(0.0 if group else POLL_SECONDS):
                            feed.ended(job, outcome)
                            view.ended(places[id(job)], outcome)
                        if interruption.take() is not None:
                            view.stopping()
                            tasks.cancel()
                        view.tick()
                interruption.raise_if_asked()
            finally:
                tasks.end()
