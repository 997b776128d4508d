"""Sweeps whose trials come in stages: when all trials of a stage have ended, their results say which come next."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from functools import partial

from recurrent_cells.sweeps.feeds import Feed
from recurrent_cells.sweeps.parent import Parent, write_plan
from recurrent_cells.sweeps.plan import Trial, has_status, to_run
from recurrent_cells.tracking.artifacts import Question, write_question
from recurrent_cells.tracking.patience import patiently
from recurrent_cells.tracking.queries import TrialRecord, latest_by_fingerprint, trial_records, unpruned
from recurrent_cells.tracking.store import Store

# What the store knows of trials, by fingerprint.
Records = Mapping[str, TrialRecord]


class Stage(ABC):
    """Chooses further trials from the results of those before.

    The choice follows from the records alone: given again after a kill, a sweep comes to the same trials.
    """

    @abstractmethod
    def more(self, trials: Sequence[Trial], records: Records) -> list[Trial]:
        """The trials to add to those that have all ended; empty when the stage is over."""

    @abstractmethod
    def question(self) -> Question:
        """What the sweep is to answer, as far as `more` has settled it."""

    @property
    def is_wanted(self) -> bool:
        """Whether the sweep is to have this stage, as far as is known now."""
        return True

    @property
    def refused(self) -> list[str]:
        """Lines on what cannot be compared."""
        return []


class StagedFeed(Feed):
    """The trials of the first stage, then those that each stage adds. A trial that failed does not hold up the next.

    Args:
        first: the trials that are known from the start.
        records: what the store knows at the start.
    """

    def __init__(
        self,
        first: Sequence[Trial],
        stages: Sequence[Stage],
        store: Store,
        parent: Parent,
        rerun: str,
        records: Records,
    ) -> None:
        super().__init__()
        self._trials, self._stages = list(first), list(stages)
        self._store, self._parent, self._rerun = store, parent, rerun
        self._known: Records | None = records
        self._under_way: set[str] = set()
        self._over = False

    @property
    def trials(self) -> Sequence[Trial]:
        return self._trials

    def ask(self) -> Sequence[Trial]:
        self._over |= any(outcome.status == "queued" for outcome in self.outcomes.values())
        if self._over or len(self.outcomes) < len(self._under_way):
            return []
        if self._under_way and not any(stage.is_wanted for stage in self._stages):
            self._over = True
            return []
        records = patiently(self._records, self._store.patience) if self._known is None else self._known
        self._known = None
        while not (todo := self._todo(records)) and not self._over:
            self._over = not self._advance(records) or (self._rerun == "failed" and self._has_new(records))
        self._under_way |= {trial.fingerprint for trial in todo}
        return [trial.below(self._parent.run_id, self._parent.earlier) for trial in todo]

    def disconnect(self) -> None:
        """Nothing: no connection is open."""

    def close(self) -> None:
        """Nothing: all trials are known."""

    @property
    def done(self) -> bool:
        return self._over

    @property
    def waiting(self) -> int:
        return 0

    def _records(self) -> Records:
        return latest_by_fingerprint(unpruned(trial_records(self._store)), self._parent.earlier)

    def _todo(self, records: Records) -> list[Trial]:
        """The trials to train now, the longest first, but last those that failed before."""
        missing = [it for it in to_run(self._trials, records, self._rerun) if it.fingerprint not in self.outcomes]
        return sorted(missing, key=lambda trial: (has_status(records, trial, "FAILED"), -trial.work))

    def _has_new(self, records: Records) -> bool:
        """Whether there are trials that were never started."""
        return any(trial.fingerprint not in records for trial in self._trials)

    def _advance(self, records: Records) -> bool:
        """Add the trials of the next stage that has any; whether there is one."""
        while self._stages:
            stage = self._stages[0]
            if not stage.is_wanted:
                self._stages.pop(0)
                continue
            more = stage.more(self._trials, records)
            self._trials += more
            patiently(partial(self._keep, stage.question()), self._store.patience)
            if more:
                return True
            self.refused += self._stages.pop(0).refused
        return False

    def _keep(self, question: Question) -> None:
        """Have the plan, and what is asked of it, with the parent."""
        write_question(self._store, self._parent.run_id, question)
        write_plan(self._store, self._parent.run_id, self._trials)
