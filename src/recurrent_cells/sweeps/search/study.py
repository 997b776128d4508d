"""An Optuna study that several processes share and that outlives them."""

import sqlite3
from collections.abc import Callable, Container, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from typing import TypeVar

import numpy as np
import optuna
from optuna.exceptions import StorageInternalError
from optuna.samplers import BaseSampler, CmaEsSampler, RandomSampler, TPESampler
from optuna.trial import FrozenTrial, Trial, TrialState
from sqlalchemy.exc import SQLAlchemyError

from recurrent_cells.seeds import derive
from recurrent_cells.statistics.fronts import better
from recurrent_cells.sweeps.search.distributions import RoundingSampler, suggest
from recurrent_cells.sweeps.search.ranges import Value
from recurrent_cells.sweeps.search.settings import SearchSettings, direction
from recurrent_cells.sweeps.search.space import Space
from recurrent_cells.tracking.liveness import cause_of_death
from recurrent_cells.tracking.locks import alone
from recurrent_cells.tracking.patience import patiently
from recurrent_cells.tracking.provenance import is_this_process, process_tags
from recurrent_cells.tracking.store import Store
from recurrent_cells.trial.judge import PRUNER
from recurrent_cells.trial.objectives import reached, report
from recurrent_cells.trial.study_storage import make_storage

# Attributes of a trial in Optuna: the number of its point in the search, its values where they were given
# beforehand, the process that works on the trial, and what the point came to with its first seed.
POINT, GIVEN, OWNER, FIRST = "point", "given", "owner", "first"
GOOD_ENOUGH = 0.5
LARGEST_SEED = 2**32


COMPLAINT = "the study of the search fails ({reason}); once it works the same command goes on"

T = TypeVar("T")


def study_patiently(store: Store, action: Callable[[], T]) -> T:
    """What an action on a study gives: the study's storage may fail for a while as the store may."""
    failures = (StorageInternalError, SQLAlchemyError, sqlite3.Error, OSError)
    return patiently(action, store.patience, failures, COMPLAINT)


@dataclass(frozen=True)
class Proposal:
    """A point to be tried: the trial's number in Optuna and the value of each key."""

    number: int
    point: int
    values: Mapping[str, Value]


class Study:
    """The points of a search. A point is tried by an Optuna trial, and by another where that failed.

    A trial whose process is gone is given to the next process that asks, with the trial's curve so far.

    Args:
        evaluations: the most that a trial has.
    """

    def __init__(self, store: Store, name: str, space: Space, settings: SearchSettings, evaluations: int) -> None:
        self.name = name
        self._store = store
        self._space = space
        self._settings = settings
        self._grid = space.grid(settings.seed) if settings.sampler == "grid" else []
        self.size = min(settings.n_trials, len(self._grid)) if self._grid else settings.n_trials
        with self._alone():
            self._storage = make_storage(store.folder)
            self._study = optuna.create_study(
                study_name=name,
                storage=self._storage,
                directions=[direction(objective) for objective in settings.objectives],
                load_if_exists=True,
            )
            if PRUNER not in self._study.user_attrs:
                self._study.set_user_attr(PRUNER, asdict(settings) | {"evaluations": evaluations})

    def disconnect(self) -> None:
        """Close connections that a fork must not share."""
        self._storage.engine.dispose()

    def points(self) -> dict[int, FrozenTrial]:
        """The latest trial of every point that has all its values, in their order."""
        latest: dict[int, FrozenTrial] = {}
        for trial in self._trials():
            if POINT in trial.user_attrs and values_of(trial).keys() == self._space.ranges.keys():
                latest[trial.user_attrs[POINT]] = trial
        return dict(sorted(latest.items()))

    def restore(self, points: Sequence[Mapping[str, Value]]) -> None:
        """Have the points of a search tried whose study was lost, or is on another machine."""
        with self._alone():
            if all(map(_is_queued, self._trials())):  # a failure may have cut this short
                known = self.points()
                for point, values in enumerate(points):
                    if point not in known:
                        self._queue(point, values)

    def queue_failed(self, lost: Container[int] = (), left_out: Container[int] = ()) -> None:
        """Queue again each point whose last trial failed, or has ended but is `lost`; not the points of `left_out`."""
        with self._alone():
            for point, trial in self.points().items():
                if point in left_out:
                    continue
                if trial.state == TrialState.FAIL or (trial.state.is_finished() and point in lost):
                    self._queue(point, values_of(trial))

    @property
    def settled(self) -> int:
        """How many points are tried."""
        return sum(trial.state.is_finished() for trial in self.points().values())

    def ask(self, own: set[int], also_new: bool) -> Proposal | None:
        """The next point: a point that no process works on any more, a queued point, or a new point.

        Args:
            own: numbers of the trials that this process has had.
            also_new: whether the search may grow.

        Returns:
            None if there is none, all points being asked for.
        """
        with self._alone():
            trials = self._trials()
            count = len({trial.user_attrs[POINT] for trial in trials if POINT in trial.user_attrs})
            found = next((trial for trial in trials if self._is_abandoned(trial, own)), None)
            sampler = self._sampler(found.user_attrs.get(POINT, count) if found else count)
            self._study.sampler = RoundingSampler(sampler, self._space.ranges)
            if found is not None:
                return self._propose(Trial(self._study, found._trial_id), count)
            queued = any(_is_queued(trial) for trial in trials)
            if not queued and (count >= self.size or not also_new):
                return None
            if not queued and self._grid:
                self._queue(count, self._grid[count])
            return self._propose(self._study.ask(), count)

    def _propose(self, trial: Trial, count: int) -> Proposal:
        """All values of a trial; those that another process left undrawn are what it would have drawn."""
        point = trial.user_attrs.get(POINT, count)
        trial.set_user_attr(POINT, point)
        trial.set_user_attr(OWNER, process_tags())
        values = {key: suggest(trial, key, self._space.ranges[key]) for key in sorted(self._space.ranges)}
        return Proposal(trial.number, point, values)

    def has_curve(self, number: int) -> bool:
        return bool(reached(self._trials()[number]))

    def report(self, number: int, curve: Mapping[int, Sequence[float]]) -> None:
        """Give a trial the values of the objectives by evaluation."""
        trial = Trial(self._study, self._trials()[number]._trial_id)
        for evaluation, values in curve.items():
            report(trial, evaluation, values)

    def goes_on(self, number: int, values: Sequence[float]) -> bool:
        """Whether a point with these values of its first seed is worth more seeds; what was said stands.

        No, if at least `startup_trials` other points have a first seed and half of these are of better fronts.
        """
        with self._alone():
            trials = self._trials()
            own = trials[number]
            if FIRST not in own.user_attrs:
                others = [
                    it.user_attrs[FIRST]["values"]
                    for it in trials
                    if FIRST in it.user_attrs and it.user_attrs[POINT] != own.user_attrs[POINT]
                ]
                signs = [1 if direction(it) == "maximize" else -1 for it in self._settings.objectives]
                above = better(np.multiply(others, signs), np.multiply(values, signs)) if others else 0
                good = len(others) < self._settings.startup_trials or above < GOOD_ENOUGH * len(others)
                trial = Trial(self._study, own._trial_id)
                trial.set_user_attr(FIRST, {"values": list(values), "goes_on": good})
            return goes_on(self._trials()[number])

    def tell(self, number: int, values: Sequence[float]) -> None:
        """A trial is trained to its end."""
        self._study.tell(number, list(values), skip_if_finished=True)

    def tell_pruned(self, number: int) -> None:
        self._study.tell(number, state=TrialState.PRUNED, skip_if_finished=True)

    def tell_failed(self, number: int) -> None:
        self._study.tell(number, state=TrialState.FAIL, skip_if_finished=True)

    def give_up(self, number: int) -> None:
        """Leave an open trial to whoever asks next, another process or the next start."""
        with self._alone():
            Trial(self._study, self._trials()[number]._trial_id).set_user_attr(OWNER, None)

    def others_at_work(self, own: set[int]) -> int:
        """How many trials other processes have."""
        return sum(
            trial.state == TrialState.RUNNING and trial.number not in own and not self._is_abandoned(trial, own)
            for trial in self._trials()
        )

    def _trials(self) -> list[FrozenTrial]:
        """By number."""
        return self._study.get_trials(deepcopy=False)

    def _queue(self, point: int, values: Mapping[str, Value]) -> None:
        self._study.enqueue_trial(dict(values), user_attrs={POINT: point, GIVEN: dict(values)})

    def _alone(self) -> AbstractContextManager[None]:
        return alone(self._store.folder, f"{self.name}.study")

    def _sampler(self, point: int) -> BaseSampler:
        """The sampler of a point: its seed follows the point, so that a resumed search proposes what it would have."""
        seed = derive(self._settings.seed, "search", point) % LARGEST_SEED
        if self._settings.sampler == "tpe":
            return TPESampler(seed=seed, n_startup_trials=self._settings.startup_trials)
        if self._settings.sampler == "cmaes":
            return CmaEsSampler(seed=seed, warn_independent_sampling=False)
        return RandomSampler(seed=seed)

    def _is_abandoned(self, trial: FrozenTrial, own: set[int]) -> bool:
        """Whether nobody works on an open trial: its process is gone, or is this one in an earlier search.

        Call this under the study's lock: then a trial without an owner was left half made.
        """
        if trial.state != TrialState.RUNNING or trial.number in own:
            return False
        owner = trial.user_attrs.get(OWNER)
        watched_as = f"{self.name}-{trial.number}"
        return owner is None or is_this_process(owner) or cause_of_death(self._store, watched_as, owner) is not None


def values_of(trial: FrozenTrial) -> dict[str, Value]:
    """The value of each key, also of a trial that is only queued."""
    return dict(trial.user_attrs.get(GIVEN, trial.params))


def goes_on(trial: FrozenTrial) -> bool:
    """Whether the first seed of a trial's point has shown it worth more."""
    return bool(trial.user_attrs.get(FIRST, {}).get("goes_on"))


def _is_queued(trial: FrozenTrial) -> bool:
    return trial.state == TrialState.WAITING
