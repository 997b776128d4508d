"""The trials of a search as a launcher wants them: asked for when a slot is free, told when they end."""

import math
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from functools import partial
from typing import TypeVar

from optuna.exceptions import StorageInternalError

from recurrent_cells.config.schema import SweepConfig
from recurrent_cells.errors import UserError
from recurrent_cells.sweeps.parent import Parent, write_plan
from recurrent_cells.sweeps.plan import Trial, plan_trial
from recurrent_cells.sweeps.pools.feed import Job
from recurrent_cells.sweeps.search.ranges import Value
from recurrent_cells.sweeps.search.settings import SearchSettings
from recurrent_cells.sweeps.search.space import Space
from recurrent_cells.sweeps.search.study import Proposal, Study, values_of
from recurrent_cells.tracking.patience import patiently
from recurrent_cells.tracking.queries import TrialRecord
from recurrent_cells.tracking.recovery import recover
from recurrent_cells.tracking.store import Store
from recurrent_cells.trial.claim import finished_since, is_claimed
from recurrent_cells.trial.outcome import Outcome

SECONDS_BETWEEN_LOOKS = 1.0
COMPLAINT = "the study of the search fails ({reason}); once it works the same command goes on"

T = TypeVar("T")


class Proposals:
    """A feed of what a study proposes, growing the plan of the search's parent.

    What is finished already, here or elsewhere, is told and not trained; of equal trials one is trained for all.

    Args:
        trials: the plan, by fingerprint.
        outcomes: of the trials launched, by fingerprint.
        refused: the points whose values make no config, and why.
    """

    def __init__(
        self, study: Study, space: Space, search: SearchSettings, settings: SweepConfig, store: Store, parent: Parent
    ) -> None:
        self.trials: dict[str, Trial] = {}
        self.outcomes: dict[str, Outcome] = {}
        self.refused: dict[int, str] = {}
        self._study, self._space, self._search, self._settings = study, space, search, settings
        self._store, self._parent = store, parent
        self._running: dict[Job, tuple[Trial, Proposal]] = {}
        self._equal: dict[str, list[Proposal]] = defaultdict(list)
        self._again: list[Proposal] = []
        self._busy: list[tuple[Trial, Proposal]] = []
        self._by_point: dict[int, Trial | None] = {}
        self._own: set[int] = set()
        self._deaths: Counter[int] = Counter()
        self._next_look = 0.0
        self._nothing_left = False
        self._study.queue_failed()
        self.read()

    def read(self) -> None:
        """Have in the plan what the study has by now, from other processes too."""
        for point, trial in self._study.points().items():
            self._plan(point, values_of(trial))
        patiently(
            lambda: write_plan(self._store, self._parent.run_id, list(self.trials.values())), self._store.patience
        )

    def next(self) -> Job | None:
        if time.monotonic() < self._next_look:
            return None
        while (proposal := self._take()) is not None:
            job = self._job(proposal)
            if job is not None:
                self._store.disconnect()
                self._study.disconnect()
                return job
        self._next_look = time.monotonic() + SECONDS_BETWEEN_LOOKS
        return None

    def ended(self, job: Job, outcome: Outcome) -> None:
        """Tell the study; a trial that was killed is started again, one that others train is waited for."""
        trial, proposal = self._running.pop(job)
        self.outcomes[trial.fingerprint] = outcome
        self._next_look = 0.0
        if outcome.status == "busy":
            self._busy.append((trial, proposal))
            return
        if outcome.status != "finished":
            patiently(lambda: recover(self._store), self._store.patience)  # it can then be continued
        record = self._record(trial)
        self._deaths[proposal.number] += outcome.status == "killed"
        if record is None and outcome.status == "killed":
            if self._deaths[proposal.number] <= self._settings.retries:
                self._again.append(proposal)
            return  # else it stays open in the study, for the next start
        self._tell(record, proposal, *self._equal.pop(trial.fingerprint, []))

    @property
    def done(self) -> bool:
        return self._nothing_left and not (self._running or self._again or self._busy)

    @property
    def waiting(self) -> int:
        return max(0, self._study.size - self._study.settled - len(self._running))

    def _take(self) -> Proposal | None:
        self._again += [it for trial, it in self._busy if not is_claimed(self._store, trial.fingerprint)]
        self._busy = [(trial, it) for trial, it in self._busy if it not in self._again]
        if self._again:
            return self._again.pop(0)
        also_new = self._settings.rerun != "failed"
        found = self._patiently(lambda: self._study.ask(self._own, also_new))
        self._nothing_left = found is None and self._study.others_at_work(self._own) == 0
        if found is not None:
            self._own.add(found.number)
        return found

    def _job(self, proposal: Proposal) -> Job | None:
        """What is to be started for a proposal; None if its end is known, or another is started for it."""
        trial = self._plan(proposal.point, proposal.values)
        if trial is None:
            self._tell(None, proposal)
            return None
        self.read()
        if any(trial.fingerprint == other.fingerprint for other, _ in self._running.values()):
            self._equal[trial.fingerprint].append(proposal)
            return None
        record = self._record(trial)
        if record is not None:
            self._tell(record, proposal)
            return None
        placed = trial.below(self._parent.run_id, self._parent.since)
        address = self._study.address(proposal.number) if self._search.prunes else []
        job = Job(trial.label, (*placed.overrides, *address))
        self._running[job] = trial, proposal
        return job

    def _plan(self, point: int, values: Mapping[str, Value]) -> Trial | None:
        """The trial of a point, in the plan from now on; None if its values make none."""
        if point not in self._by_point:
            try:
                trial = plan_trial(self._space.point(self._space.texts(values)))
                self._by_point[point] = self.trials.setdefault(trial.fingerprint, trial)
            except UserError as error:
                self._by_point[point] = None
                self.refused[point] = str(error)
        return self._by_point[point]

    def _record(self, trial: Trial) -> TrialRecord | None:
        """The finished run of a trial, pruned by this search or whole."""
        store, parent = self._store, self._parent
        return patiently(lambda: finished_since(store, trial.fingerprint, parent.since, parent.run_id), store.patience)

    def _tell(self, record: TrialRecord | None, *proposals: Proposal) -> None:
        """What proposals came to; None is nothing."""
        for proposal in proposals:
            self._patiently(partial(self._tell_one, record, proposal.number))

    def _tell_one(self, record: TrialRecord | None, number: int) -> None:
        if record is None:
            self._study.tell_failed(number)
            return
        if self._search.prunes and not self._study.has_curve(number):
            self._study.report(number, self._curve(record))
        values = [_value(record, objective) for objective in self._search.objectives]
        if record.pruned:
            self._study.tell_pruned(number)
        elif all(math.isfinite(value) for value in values):
            self._study.tell(number, values)
        else:
            self._study.tell_failed(number)

    def _patiently(self, action: Callable[[], T]) -> T:
        """Its storage may fail for a while as the store may."""
        return patiently(action, self._store.patience, (StorageInternalError, OSError), COMPLAINT)

    def _curve(self, record: TrialRecord) -> dict[int, float]:
        """Validation accuracy by evaluation."""
        history = patiently(
            lambda: self._store.client.get_metric_history(record.run_id, "val/acc"), self._store.patience
        )
        by_step = {point.step: point.value for point in history if point.step > 0}
        return {evaluation: by_step[step] for evaluation, step in enumerate(sorted(by_step), start=1)}


def _value(record: TrialRecord, objective: str) -> float:
    if objective == "val/acc":
        return math.nan if record.selection is None else record.selection
    if objective == "n_params":
        return float(record.params["n_params"])
    return math.nan if record.seconds is None else record.seconds
