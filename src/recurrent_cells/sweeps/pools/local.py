"""Trials as processes forked from this one, which has everything imported and the data loaded."""

import gc
import importlib
import os
import time
from collections.abc import Sequence
from dataclasses import asdict

from hydra.core.utils import JobReturn, setup_globals
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from recurrent_cells.errors import UserError
from recurrent_cells.interrupts import handled
from recurrent_cells.sweeps.pools.feed import Feed, Job, Listed
from recurrent_cells.sweeps.pools.job import run
from recurrent_cells.sweeps.pools.planned import PlannedLauncher
from recurrent_cells.sweeps.pools.processes import Child, Children, Work
from recurrent_cells.sweeps.view import View
from recurrent_cells.trial.outcome import Outcome, job_return

POLL_SECONDS = 0.02

# What `train` imports late, in the parent once and for all.
NEEDED_BY_TRIALS = ("matplotlib.backends.backend_agg", "recurrent_cells.trial.life")


class LocalLauncher(PlannedLauncher):
    """Runs up to `slots` trials at once, each in a process of its own that dies with this one.

    Args:
        slots: null is one per CPU core, or one per GPU where trials run on GPUs.
    """

    def __init__(self, slots: int | None = None) -> None:
        self.slots = slots

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Raises UserError if the number of slots will not do."""
        if self.slots is not None and self.slots < 1:
            raise UserError(
                f"hydra.launcher.slots={self.slots}: allowed is an integer of at least 1, "
                "or null (one per CPU core, or per GPU)"
            )
        super().setup(hydra_context=hydra_context, task_function=task_function, config=config)

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Run every job; one Outcome each, in a JobReturn that Hydra counts as completed.

        Raises:
            Interrupted: once every running trial has saved its state and stopped.
        """
        jobs = list(job_overrides)
        listed = Listed([Job(name, overrides) for name, overrides in zip(self.labels(jobs), jobs, strict=True)])
        self.feed(listed, initial_job_idx)
        return [job_return(overrides, outcome) for overrides, outcome in zip(jobs, listed.outcomes, strict=True)]

    def feed(self, feed: Feed, first_number: int = 0) -> None:
        """Run the jobs of a feed until it is done; raises as `launch`."""
        setup_globals()
        gpus = warm_up(self.config)
        started: list[Job] = []
        names: list[str] = []
        children = Children(self.slots or gpus or len(os.sched_getaffinity(0)))
        with (
            handled() as interruption,
            View(names, children.slots, count=lambda: len(names) + feed.waiting) as view,
        ):
            try:
                with interruption.deferred():
                    while children or not (feed.done or interruption.asked):
                        while (
                            not interruption.asked
                            and children.free_slot is not None
                            and (job := feed.next()) is not None
                        ):
                            place = len(started)
                            work = self._job(first_number + place, job.overrides)
                            children.fork([place], work, gpu_of_slot(children.free_slot, gpus))
                            started.append(job)
                            names.append(job.label)
                            view.started(place)
                        if signum := interruption.take():
                            view.stopping()
                            children.signal(signum)
                        for child in children.news():
                            if child.status is not None:
                                (place,) = child.jobs
                                outcome = said_outcome(child)
                                feed.ended(started[place], outcome)
                                view.ended(place, outcome)
                        view.tick()
                        time.sleep(POLL_SECONDS)
                interruption.raise_if_asked()
            finally:
                gc.unfreeze()
                children.kill()

    def _job(self, number: int, overrides: Sequence[str]) -> Work:
        return lambda tell: tell(asdict(self._run(number, overrides)))

    def _run(self, number: int, overrides: Sequence[str]) -> Outcome:
        """In the child."""
        return run(self.hydra_context, self.task_function, self.compose(number, overrides))


def said_outcome(child: Child) -> Outcome:
    """What became of the one job of an ended process."""
    return child.with_console(Outcome(**child.said[-1]) if child.said else child.unsaid())


def warm_up(config: DictConfig, needed: Sequence[str] = NEEDED_BY_TRIALS) -> int:
    """Import what trials need, so that their processes start with it; the number of GPUs they may use.

    One thread only: a fork after two-threaded tensor operations can deadlock.
    """
    import torch

    from recurrent_cells.training.device import use_threads

    use_threads(1)
    if torch.cuda.is_initialized():
        raise RuntimeError("CUDA is initialised in this process, which must not fork then: use hydra/launcher=basic")
    from recurrent_cells.tracking.provenance import git_tags, library_tags

    for name in needed:
        importlib.import_module(name)
    if config.registry and torch.cuda.device_count() == 0:  # an export might wake CUDA, which must not be forked
        from recurrent_cells.tracking import model

        model.warm_up()
    git_tags()
    library_tags()
    gc.freeze()  # else a collection in a child touches, and so copies, every object of this process
    return 0 if config.trainer.accelerator == "cpu" else torch.cuda.device_count()


def gpu_of_slot(slot: int, gpus: int) -> dict[str, str]:
    """The environment that shows a slot its one GPU, of those the user made visible; empty where there is no choice."""
    if gpus < 2:
        return {}
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")[:gpus]
    return {"CUDA_VISIBLE_DEVICES": visible[slot % gpus] if len(visible) == gpus else str(slot % gpus)}
