"""The trials of a search: proposed by its study when a slot is free, told to the study when they end."""

import math
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TypeVar

from optuna.exceptions import StorageInternalError

from recurrent_cells.errors import UserError
from recurrent_cells.sweeps.feeds import Feed
from recurrent_cells.sweeps.parent import Parent, write_plan
from recurrent_cells.sweeps.plan import Trial, plan_trial
from recurrent_cells.sweeps.search.objectives import value_of
from recurrent_cells.sweeps.search.ranges import Value
from recurrent_cells.sweeps.search.settings import COSTS, SearchSettings
from recurrent_cells.sweeps.search.space import Space
from recurrent_cells.sweeps.search.study import Proposal, Study, values_of
from recurrent_cells.tracking.names import Curve
from recurrent_cells.tracking.patience import patiently
from recurrent_cells.tracking.queries import TrialRecord, latest_by_fingerprint, trial_records, unpruned
from recurrent_cells.tracking.store import Store
from recurrent_cells.trial.claim import finished_run
from recurrent_cells.trial.outcome import Outcome

SECONDS_BETWEEN_LOOKS = 1.0
COMPLAINT = "the study of the search fails ({reason}); once it works the same command goes on"

T = TypeVar("T")


class Proposals(Feed):
    """A feed of what a study proposes, growing the plan of the search's parent.

    A trial that is finished already, here or elsewhere, is told and not trained; equal trials are trained once.

    Args:
        also_new: whether the search may grow.
    """

    def __init__(
        self, study: Study, space: Space, search: SearchSettings, store: Store, parent: Parent, also_new: bool
    ) -> None:
        super().__init__()
        self._planned: dict[str, Trial] = {}
        self._study, self._space, self._search = study, space, search
        self._store, self._parent, self._also_new = store, parent, also_new
        # the proposals that a trial under way stands for, by fingerprint
        self._running: dict[str, list[Proposal]] = defaultdict(list)
        self._by_point: dict[int, Trial | None] = {}
        self._own: set[int] = set()
        self._next_look = 0.0
        self._nothing_left = False
        self.close()
        self._study.queue_failed(self._lost())

    @property
    def trials(self) -> Sequence[Trial]:
        return list(self._planned.values())

    def close(self) -> None:
        """Have in the plan what the study has by now, from other processes too."""
        for point, trial in self._study.points().items():
            self._plan(point, values_of(trial))
        patiently(lambda: write_plan(self._store, self._parent.run_id, self.trials), self._store.patience)

    def _lost(self) -> set[int]:
        """The points without a FINISHED run, whatever the study says: a run that was damaged is trained again."""
        store, parent = self._store, self._parent
        known = patiently(lambda: unpruned(trial_records(store), but_by=parent.run_id), store.patience)
        latest = latest_by_fingerprint(known, parent.earlier)
        finished = {fingerprint for fingerprint, record in latest.items() if record.status == "FINISHED"}
        return {point for point, trial in self._by_point.items() if trial and trial.fingerprint not in finished}

    def ask(self) -> Sequence[Trial]:
        if time.monotonic() < self._next_look:
            return []
        while (proposal := self._propose()) is not None:
            trial = self._trial(proposal)
            if trial is not None:
                return [trial]
        self._next_look = time.monotonic() + SECONDS_BETWEEN_LOOKS
        return []

    def tell(self, trial: Trial, outcome: Outcome) -> None:
        super().tell(trial, outcome)
        self._next_look = 0.0
        proposals = self._running.pop(trial.fingerprint)
        record = self._record(trial)
        if record is not None or outcome.status != "killed":  # else the trial stays open, for the next start
            self._settle(record, proposals)

    def disconnect(self) -> None:
        self._study.disconnect()

    @property
    def done(self) -> bool:
        return self._nothing_left

    @property
    def waiting(self) -> int:
        return max(0, self._study.size - self._study.settled - len(self._running))

    def _propose(self) -> Proposal | None:
        """What the study proposes next."""
        found = self._patiently(lambda: self._study.ask(self._own, self._also_new))
        self._nothing_left = found is None and self._study.others_at_work(self._own) == 0
        if found is not None:
            self._own.add(found.number)
        return found

    def _trial(self, proposal: Proposal) -> Trial | None:
        """The trial to be trained for a proposal; None if its end is known, or an equal trial is under way."""
        planned = self._plan(proposal.point, proposal.values)
        if planned is None:
            self._settle(None, [proposal])
            return None
        self.close()
        if planned.fingerprint in self._running:
            self._running[planned.fingerprint].append(proposal)
            return None
        record = self._record(planned)
        if record is not None:
            self._settle(record, [proposal])
            return None
        self._running[planned.fingerprint].append(proposal)
        judge = {"study": self._study.name, "number": proposal.number} if self._search.prunes else {}
        return planned.below(self._parent.run_id, self._parent.earlier, **judge)

    def _plan(self, point: int, values: Mapping[str, Value]) -> Trial | None:
        """The trial of a point, in the plan from now on; None if its values make none."""
        if point not in self._by_point:
            try:
                trial = plan_trial(self._space.point(self._space.texts(values)))
                self._by_point[point] = self._planned.setdefault(trial.fingerprint, trial)
            except UserError as error:
                self._by_point[point] = None
                self.refused.append(f"point {point}: {error}")
        return self._by_point[point]

    def _record(self, trial: Trial) -> TrialRecord | None:
        """The finished run of a trial, pruned by this search or whole."""
        store, parent = self._store, self._parent
        earlier = parent.earlier.get(trial.fingerprint, ())
        return patiently(lambda: finished_run(store, trial.fingerprint, earlier, parent.run_id), store.patience)

    def _settle(self, record: TrialRecord | None, proposals: Sequence[Proposal]) -> None:
        """Tell the study what proposals came to: a finished run, or nothing."""
        for proposal in proposals:
            self._patiently(partial(self._tell_study, record, proposal.number))

    def _tell_study(self, record: TrialRecord | None, number: int) -> None:
        if record is None:
            self._study.tell_failed(number)
            return
        if self._search.prunes and not self._study.has_curve(number):
            self._study.report(number, self._curve(record))
        values = [value_of(record, objective) for objective in self._search.objectives]
        if record.pruned:
            self._study.tell_pruned(number)
        elif all(math.isfinite(value) for value in values):
            self._study.tell(number, values)
        else:
            self._study.tell_failed(number)

    def _patiently(self, action: Callable[[], T]) -> T:
        """The study's storage may fail for a while as the store may."""
        return patiently(action, self._store.patience, (StorageInternalError, OSError), COMPLAINT)

    def _curve(self, record: TrialRecord) -> dict[int, list[float]]:
        """The values of the objectives by evaluation; the seconds at each as if all steps had taken the same time."""
        name = Curve.val(record.metric)
        history = patiently(lambda: self._store.client.get_metric_history(record.run_id, name), self._store.patience)
        by_step = {point.step: point.value for point in history if point.step > 0}
        steps = sorted(by_step)

        def at(step: int, objective: str) -> float:
            if objective not in COSTS:
                return by_step[step]
            return value_of(record, objective) * (step / steps[-1] if objective == "seconds" else 1)

        return {
            evaluation: [at(step, objective) for objective in self._search.objectives]
            for evaluation, step in enumerate(steps, start=1)
        }
