"""Trials of one shape trained as one program; each is then ended by a process of its own, as any other trial."""

import gc
import os
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import asdict

from hydra.core.utils import JobReturn, setup_globals
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from recurrent_cells.errors import UserError
from recurrent_cells.interrupts import handled
from recurrent_cells.sweeps.pools.local import (
    NEEDED_BY_TRIALS,
    POLL_SECONDS,
    LocalLauncher,
    gpu_of_slot,
    said_outcome,
    warm_up,
)
from recurrent_cells.sweeps.pools.processes import Child, Children, Tell, Work
from recurrent_cells.sweeps.view import View, say
from recurrent_cells.trial.outcome import Outcome, job_return

AUTO = "auto"


class PackedLauncher(LocalLauncher):
    """Groups trials by shape and trains each group as one program; those that fit none run as with `local`.

    Args:
        slots: packs trained at once; null is one, or one per GPU.
        max_pack: the most trials of a pack; `auto` is as many as the GPU's memory holds, and none on a CPU, where
            processes of their own are faster.
    """

    def __init__(self, slots: int | None = None, max_pack: str | int = AUTO) -> None:
        super().__init__(slots)
        self.max_pack = max_pack

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Raises UserError if the number of slots or the size of packs will not do."""
        check_max_pack(self.max_pack)
        super().setup(hydra_context=hydra_context, task_function=task_function, config=config)

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Run every job; outcomes and exceptions as with LocalLauncher."""
        if not self.trials:
            raise UserError("hydra/launcher=packed: needs a sweeper that plans, hydra/sweeper=grid")
        gpus = warm_up(self.config, (*NEEDED_BY_TRIALS, "recurrent_cells.trial.pack"))
        if self.max_pack == AUTO and gpus == 0:
            say("no GPU: trials run in processes of their own; hydra.launcher.max_pack=N would pack them")
            return super().launch(job_overrides, initial_job_idx)
        setup_globals()
        from recurrent_cells.sweeps.packs import group_by_shape, parted  # here: it loads data

        packs, alone = group_by_shape(self.trials)
        jobs = list(job_overrides)
        slots = self.slots or gpus or 1
        parts = [part for pack in packs for part in parted(pack, slots)]
        groups = parts + [[place] for place in alone]
        works = [self._work(group, initial_job_idx, jobs) for group in groups]
        endings = {place: self._job(initial_job_idx + place, jobs[place]) for group in groups for place in group}
        launch = _Launch(list(zip(groups, works, strict=True)), endings, slots, gpus)
        where = f"in {len(parts)} {'pack' if len(parts) == 1 else 'packs'}{f', {len(alone)} alone' if alone else ''}"
        with handled() as interruption, View(self.labels(jobs), len(jobs), where) as view:
            try:
                with interruption.deferred():
                    while launch.goes_on(interruption.asked):
                        if not interruption.asked:
                            launch.start(view)
                        if signum := interruption.take():
                            view.stopping()
                            launch.signal(signum)
                        launch.listen(view)
                        view.tick()
                        time.sleep(POLL_SECONDS)
                interruption.raise_if_asked()
            finally:
                gc.unfreeze()
                launch.kill()
        return [job_return(jobs[place], launch.outcomes[place]) for place in range(len(jobs))]

    def _work(self, group: Sequence[int], initial_job_idx: int, jobs: Sequence[Sequence[str]]) -> Work:
        """What a process does with a group of trials: one is a job as any, more are a pack."""
        if len(group) == 1:
            return self._job(initial_job_idx + group[0], jobs[group[0]])
        configs = [self.trials[place].config for place in group]
        most = None if self.max_pack == AUTO else int(self.max_pack)

        def work(tell: Tell) -> None:
            from recurrent_cells.trial.pack import train_pack

            def told(index: int, what: str | Outcome) -> None:
                said = {"run_id": what} if isinstance(what, str) else {"outcome": asdict(what)}
                tell({"place": group[index]} | said)

            train_pack(configs, most, told)

        return work


def check_max_pack(max_pack: str | int) -> None:
    """Raises UserError if the size of packs will not do."""
    if max_pack != AUTO and not (str(max_pack).isdigit() and int(max_pack) >= 1):
        raise UserError(
            f"hydra.launcher.max_pack={max_pack}: allowed is an integer of at least 1, or auto "
            "(as the GPU's memory allows; without a GPU trials run in processes of their own)"
        )


class _Launch:
    """Groups of jobs being trained on some slots, and trained trials being ended on all cores.

    Args:
        groups: the places of jobs that train together, with what their process does.
        endings: what a process does to end the trained trial of a place.
    """

    def __init__(
        self, groups: Sequence[tuple[Sequence[int], Work]], endings: Mapping[int, Work], slots: int, gpus: int
    ) -> None:
        self.outcomes: dict[int, Outcome] = {}
        self._groups, self._endings, self._gpus = deque(groups), endings, gpus
        self._told_of: set[int] = set()
        self._trained: deque[tuple[int, str]] = deque()
        self._trainers, self._enders = Children(slots), Children(len(os.sched_getaffinity(0)))

    def goes_on(self, stopping: bool) -> bool:
        at_work = len(self._trainers) + len(self._enders) > 0
        return at_work or (not stopping and len(self._groups) + len(self._trained) > 0)

    def start(self, view: View) -> None:
        while self._groups and (slot := self._trainers.free_slot) is not None:
            group, work = self._groups.popleft()
            self._trainers.fork(group, work, gpu_of_slot(slot, self._gpus))
            for place in group:
                view.started(place)
        while self._trained and (slot := self._enders.free_slot) is not None:
            place, _ = self._trained.popleft()
            self._enders.fork([place], self._endings[place], gpu_of_slot(slot, self._gpus))

    def signal(self, signum: int) -> None:
        self._trainers.signal(signum)
        self._enders.signal(signum)

    def listen(self, view: View) -> None:
        """Take in what processes told and how they ended."""
        for child in self._trainers.news():
            if len(child.jobs) > 1:
                self._hear_pack(child, view)
            elif child.status is not None:
                self._settle(child.jobs[0], said_outcome(child), view)
        for child in self._enders.news():
            if child.status is not None:
                self._settle(child.jobs[0], said_outcome(child), view)

    def _hear_pack(self, child: Child, view: View) -> None:
        for said in child.said:
            self._told_of.add(said["place"])
            if "run_id" in said:
                self._trained.append((said["place"], said["run_id"]))
            else:
                self._settle(said["place"], Outcome(**said["outcome"]), view)
        child.said.clear()
        if child.status is not None:
            for place in set(child.jobs) - self._told_of:
                self._settle(place, child.unsaid(), view)
            child.console.unlink(missing_ok=True)

    def _settle(self, place: int, outcome: Outcome, view: View) -> None:
        self.outcomes[place] = outcome
        view.ended(place, outcome)

    def kill(self) -> None:
        self._trainers.kill()
        self._enders.kill()
