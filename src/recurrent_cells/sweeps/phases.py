"""A sweep in two phases: the first chooses among settings by validation, the second compares what was chosen."""

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean

from recurrent_cells.errors import UserError
from recurrent_cells.sweeps.feeds import Feed
from recurrent_cells.sweeps.parent import Parent, write_plan
from recurrent_cells.sweeps.plan import Trial, to_run
from recurrent_cells.sweeps.view import say
from recurrent_cells.tracking.artifacts import Question, write_question
from recurrent_cells.tracking.patience import patiently
from recurrent_cells.tracking.queries import TrialRecord, latest_by_fingerprint, trial_records, unpruned
from recurrent_cells.tracking.store import Store
from recurrent_cells.trial.outcome import Outcome

# Values of keys, by which trials are told apart.
Values = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Tuning:
    """The first phase of a sweep.

    Args:
        trials: with seeds of their own.
        keys: what is chosen: the keys that vary in this phase alone.
    """

    trials: Sequence[Trial]
    keys: Collection[str]

    def chosen(self, compared: Sequence[Trial], records: Mapping[str, TrialRecord]) -> list[Trial]:
        """Of the trials to compare those of the best settings by mean validation value.

        Settings of which more trials failed than of others are not chosen.
        """
        groups: dict[Values, dict[Values, list[float]]] = defaultdict(lambda: defaultdict(list))
        for trial in self.trials:
            record = records.get(trial.fingerprint)
            if record is not None and record.status == "FINISHED":
                groups[self.rest(trial)][self.settings(trial)].append(record.rank[1])
        best = {}
        for rest, found in groups.items():
            most = max(map(len, found.values()))
            best[rest] = max((it for it in found if len(found[it]) == most), key=lambda it: mean(found[it]))
        return [trial for trial in compared if best.get(self.rest(trial)) == self.settings(trial)]

    def settings(self, trial: Trial) -> Values:
        return tuple((key, value) for key, value in trial.varied.items() if key in self.keys)

    def rest(self, trial: Trial) -> Values:
        """What a trial varies besides: for each such configuration settings are chosen."""
        return tuple((key, value) for key, value in trial.varied.items() if key not in {*self.keys, "seed"})


class PhaseFeed(Feed):
    """The trials that choose, then the feed of those that are compared.

    Args:
        compared: what may come to be compared, of all settings.
        begin: makes the feed of the trials of the chosen settings.
    """

    def __init__(
        self,
        tuning: Tuning,
        compared: Sequence[Trial],
        store: Store,
        parent: Parent,
        rerun: str,
        begin: Callable[[Sequence[Trial]], Feed],
    ) -> None:
        super().__init__()
        self._tuning, self._compared, self._begin = tuning, compared, begin
        self._store, self._parent, self._rerun = store, parent, rerun
        self._next: Feed | None = None
        self._under_way: set[str] = set()
        self._done = False

    @property
    def trials(self) -> Sequence[Trial]:
        return [*self._tuning.trials, *(self._next.trials if self._next else ())]

    def ask(self) -> Sequence[Trial]:
        if self._next is not None:
            return self._next.ask()
        self._done |= any(outcome.status == "queued" for outcome in self.outcomes.values())
        if self._done or self._under_way - self.outcomes.keys():
            return []
        records = patiently(self._records, self._store.patience)
        missing = to_run(self._tuning.trials, records, self._rerun)
        todo = [trial for trial in missing if trial.fingerprint not in self.outcomes]
        self._under_way |= {trial.fingerprint for trial in todo}
        if not todo and self._rerun == "failed":
            self._done = True
        elif not todo:
            return self._second_phase(records)
        return [trial.below(self._parent.run_id, self._parent.earlier) for trial in todo]

    def tell(self, trial: Trial, outcome: Outcome) -> None:
        super().tell(trial, outcome)
        if self._next is not None:
            self._next.tell(trial, outcome)

    def disconnect(self) -> None:
        """Nothing: no connection is open."""

    def close(self) -> None:
        """Nothing: all trials are known."""

    @property
    def done(self) -> bool:
        return self._done or (self._next is not None and self._next.done)

    @property
    def waiting(self) -> int:
        return self._next.waiting if self._next else 0

    def _records(self) -> Mapping[str, TrialRecord]:
        return latest_by_fingerprint(unpruned(trial_records(self._store)), self._parent.earlier)

    def _second_phase(self, records: Mapping[str, TrialRecord]) -> Sequence[Trial]:
        chosen = self._tuning.chosen(self._compared, records)
        lost = {self._tuning.rest(trial) for trial in self._compared} - {self._tuning.rest(it) for it in chosen}
        self.refused += [f"{_text(rest) or 'the sweep'}: no trial of the first phase finished" for rest in sorted(lost)]
        for words in dict.fromkeys(_text((*self._tuning.rest(it), *self._tuning.settings(it))) for it in chosen):
            say(f"chosen by validation: {words}")
        self._next = self._begin(chosen)
        patiently(lambda: self._keep(chosen), self._store.patience)
        return self._next.ask()

    def _keep(self, chosen: Sequence[Trial]) -> None:
        """Have the plan, and which of its trials are compared, with the parent."""
        tuning = [trial.fingerprint for trial in self._tuning.trials]
        asked = Question("done", [], 0.0, 0, [trial.fingerprint for trial in chosen], tuning)
        write_question(self._store, self._parent.run_id, asked)
        write_plan(self._store, self._parent.run_id, self.trials)


def check_phases(tuning: Tuning, compared: Sequence[Trial]) -> None:
    """Raises UserError if a seed is in both phases: what chose a setting would take part in judging the setting."""
    shared = {trial.config.seed for trial in tuning.trials} & {trial.config.seed for trial in compared}
    if shared:
        raise UserError(f"sweep.phases: seed={min(shared)} is in both phases; give each seeds of its own")


def _text(values: Values) -> str:
    return " ".join(f"{key}={value}" for key, value in values)
