"""The trials of a search: proposed by its study when a slot is free, told to the study when they end."""

import math
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from recurrent_cells.errors import UserError
from recurrent_cells.sweeps.feeds import Feed
from recurrent_cells.sweeps.parent import Parent, write_plan
from recurrent_cells.sweeps.plan import Trial, has_status, is_stopped, plan_trial
from recurrent_cells.sweeps.search.objectives import mean_of, value_of
from recurrent_cells.sweeps.search.ranges import Value
from recurrent_cells.sweeps.search.settings import COSTS, SearchSettings
from recurrent_cells.sweeps.search.space import Space
from recurrent_cells.sweeps.search.study import Proposal, Study, goes_on, study_patiently, values_of
from recurrent_cells.tracking.histories import read_histories
from recurrent_cells.tracking.names import Curve, Tag
from recurrent_cells.tracking.patience import patiently
from recurrent_cells.tracking.queries import TrialRecord, latest_by_fingerprint, trial_records, unpruned
from recurrent_cells.tracking.status import set_tags
from recurrent_cells.tracking.store import Store
from recurrent_cells.trial.claim import finished_run
from recurrent_cells.trial.outcome import Outcome

SECONDS_BETWEEN_LOOKS = 1.0

T = TypeVar("T")


@dataclass
class Attempt:
    """A point under way.

    Args:
        trials: by seed: the first alone, all once that has shown the point worth more.
        proposals: that ask for the point.
        open: fingerprints of the trials that are being trained.
        faults: how trials ended that did not finish.
    """

    trials: list[Trial]
    proposals: list[Proposal] = field(default_factory=list)
    open: set[str] = field(default_factory=set)
    faults: set[str] = field(default_factory=set)


class Proposals(Feed):
    """A feed of what a study proposes, growing the plan of the search's parent.

    A trial that is finished already, here or elsewhere, is told and not trained; equal trials are trained once.
    With several seeds a point is told as their mean; a poor one, as its first seed shows, is told after that.

    Args:
        rerun: as `sweep.rerun`: failed has the search not grow, missing leaves out points of which a trial was stopped.
    """

    def __init__(
        self, study: Study, space: Space, search: SearchSettings, store: Store, parent: Parent, rerun: str
    ) -> None:
        super().__init__()
        self._planned: dict[str, Trial] = {}
        self._study, self._space, self._search = study, space, search
        self._store, self._parent, self._also_new = store, parent, rerun != "failed"
        self._attempts: dict[str, Attempt] = {}  # by the fingerprint of the first trial
        self._ready: deque[Trial] = deque()
        self._by_point: dict[int, list[Trial]] = {}
        self._own: set[int] = set()
        self._next_look = 0.0
        self._nothing_left = False
        self.close()
        records = self._records()
        # Whatever the study says: a run that was damaged is trained again.
        lost = self._points_with(lambda trial: not has_status(records, trial, "FINISHED"))
        stopped = self._points_with(lambda trial: is_stopped(records, trial))
        left_out = stopped if rerun in ("missing", "failed") else ()
        self._patiently(lambda: self._study.queue_failed(lost, left_out=left_out))
        self._count()

    @property
    def trials(self) -> Sequence[Trial]:
        return list(self._planned.values())

    def close(self) -> None:
        """Have in the plan what the study has by now, from other processes too."""
        for point, trial in self._patiently(self._study.points).items():
            self._plan(point, values_of(trial), self._search.seeds if goes_on(trial) else 1)
        patiently(lambda: write_plan(self._store, self._parent.run_id, self.trials), self._store.patience)

    def _records(self) -> dict[str, TrialRecord]:
        """What the store knows of trials, by fingerprint."""
        store, parent = self._store, self._parent
        known = patiently(lambda: unpruned(trial_records(store), but_by=parent.run_id), store.patience)
        return latest_by_fingerprint(known, parent.earlier)

    def _points_with(self, condition: Callable[[Trial], bool]) -> set[int]:
        """The points of which a planned trial meets a condition."""
        return {point for point, trials in self._by_point.items() if any(map(condition, trials))}

    def ask(self) -> Sequence[Trial]:
        if not self._ready and time.monotonic() >= self._next_look:
            while not self._ready and (proposal := self._propose()) is not None:
                self._begin(proposal)
            if not self._ready:
                self._next_look = time.monotonic() + SECONDS_BETWEEN_LOOKS
        return [self._ready.popleft()] if self._ready else []

    def tell(self, trial: Trial, outcome: Outcome) -> None:
        super().tell(trial, outcome)
        self._next_look = 0.0
        first, attempt = next(item for item in self._attempts.items() if trial.fingerprint in item[1].open)
        attempt.open.remove(trial.fingerprint)
        if self._record(trial) is None:
            attempt.faults.add(outcome.status)
        if attempt.open:
            return
        if not attempt.faults:
            self._advance(attempt)
            return
        del self._attempts[first]
        if "killed" not in attempt.faults:
            self._settle([], attempt.proposals)
            return
        for proposal in attempt.proposals:  # another search that waited for the point would wait for ever
            self._patiently(partial(self._study.give_up, proposal.number))

    def disconnect(self) -> None:
        self._study.disconnect()

    @property
    def done(self) -> bool:
        return self._nothing_left and not self._ready

    @property
    def waiting(self) -> int:
        return max(0, self._study.size - self._settled - len(self._attempts)) + len(self._ready)

    def _propose(self) -> Proposal | None:
        """What the study proposes next."""
        found = self._patiently(lambda: self._study.ask(self._own, self._also_new))
        self._nothing_left = found is None and self._study.others_at_work(self._own) == 0
        if found is not None:
            self._own.add(found.number)
        return found

    def _begin(self, proposal: Proposal) -> None:
        """Have the trials of a proposal trained, unless their ends are known or an equal point is under way."""
        trials = self._plan(proposal.point, proposal.values)
        if not trials:
            self._settle([], [proposal])
            return
        attempt = self._attempts.setdefault(trials[0].fingerprint, Attempt(trials[:1]))
        attempt.proposals.append(proposal)
        if len(attempt.proposals) == 1:
            self._advance(attempt)

    def _advance(self, attempt: Attempt) -> None:
        """Have the next trials of a point trained; once there are none the study is told what the point came to."""
        self.close()
        proposal, first = attempt.proposals[0], attempt.trials[0]
        records = {trial: self._record(trial) for trial in attempt.trials}
        missing = [trial for trial, record in records.items() if record is None]
        found = [record for record in records.values() if record is not None]
        if not missing and len(found) < self._search.seeds and self._is_worth_more(found[0], proposal):
            attempt.trials = self._plan(proposal.point, proposal.values, self._search.seeds)
            self._advance(attempt)
        elif missing:
            attempt.open = {trial.fingerprint for trial in missing}
            for trial in missing:
                judged = self._search.prunes and trial is first
                judge = {"study": self._study.name, "number": proposal.number} if judged else {}
                self._ready.append(trial.below(self._parent.run_id, self._parent.earlier, **judge))
        else:
            del self._attempts[first.fingerprint]
            self._settle(found, attempt.proposals)

    def _is_worth_more(self, first: TrialRecord, proposal: Proposal) -> bool:
        """Whether a point is tried with more seeds, by the run of its first."""
        values = self._values([first])
        if first.pruned or not all(map(math.isfinite, values)):
            return False
        return self._patiently(lambda: self._study.goes_on(proposal.number, values))

    def _plan(self, point: int, values: Mapping[str, Value], seeds: int = 1) -> list[Trial]:
        """The trials of a point, in the plan from now on; none if its values make none."""
        planned = self._by_point.get(point)
        if planned is None:
            try:
                trial = plan_trial(self._space.point(self._space.texts(values)))
                planned = [trial if self._search.seeds == 1 else trial.with_seed(trial.config.seed)]
            except UserError as error:
                planned = []
                self.refused.append(f"point {point}: {error}")
        if planned:
            first = planned[0].config.seed
            planned += [planned[0].with_seed(first + more) for more in range(len(planned), seeds)]
        self._by_point[point] = [self._planned.setdefault(trial.fingerprint, trial) for trial in planned]
        return self._by_point[point]

    def _record(self, trial: Trial) -> TrialRecord | None:
        """The finished run of a trial, pruned by this search or whole."""
        store, parent = self._store, self._parent
        earlier = parent.earlier.get(trial.fingerprint, ())
        return patiently(lambda: finished_run(store, trial.fingerprint, earlier, parent.run_id), store.patience)

    def _settle(self, records: Sequence[TrialRecord], proposals: Sequence[Proposal]) -> None:
        """Tell the study what proposals came to: finished runs, or nothing."""
        for proposal in proposals:
            self._patiently(partial(self._tell_study, records, proposal.number))
        self._count()

    def _count(self) -> None:
        """Tell whoever watches how many proposals have come to an end: several may be of one trial, some of none."""
        tags = {Tag.TRIED: str(self._settled)}
        patiently(lambda: set_tags(self._store, self._parent.run_id, tags), self._store.patience)

    def _tell_study(self, records: Sequence[TrialRecord], number: int) -> None:
        if not records:
            self._study.tell_failed(number)
            return
        if self._search.prunes and not self._study.has_curve(number):
            self._study.report(number, self._curve(records[0]))
        values = self._values(records)
        if records[0].pruned:
            self._study.tell_pruned(number)
        elif all(math.isfinite(value) for value in values):
            self._study.tell(number, values)
        else:
            self._study.tell_failed(number)

    def _values(self, records: Sequence[TrialRecord]) -> list[float]:
        return [mean_of(records, objective) for objective in self._search.objectives]

    @property
    def _settled(self) -> int:
        return self._patiently(lambda: self._study.settled)

    def _patiently(self, action: Callable[[], T]) -> T:
        return study_patiently(self._store, action)

    def _curve(self, record: TrialRecord) -> dict[int, list[float]]:
        """The values of the objectives by evaluation; the seconds at each as if all steps had taken the same time."""
        name = Curve.val(record.metric)
        read = partial(read_histories, self._store, [record.run_id], [name])
        found = patiently(read, self._store.patience).get(record.run_id, {}).values()
        points = [point for it in found for point in zip(it.steps.tolist(), it.values.tolist(), strict=True)]
        by_step = {int(step): value for step, value in points if step > 0}
        steps = list(by_step)

        def at(step: int, objective: str) -> float:
            if objective not in COSTS:
                return by_step[step]
            return value_of(record, objective) * (step / steps[-1] if objective == "seconds" else 1)

        return {
            evaluation: [at(step, objective) for objective in self._search.objectives]
            for evaluation, step in enumerate(steps, start=1)
        }
