"""What keeps a sweep from starting more trials: a tag that asks it to stop, its budget, too many failures."""

import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from statistics import median

from recurrent_cells.config.rules import seconds_of
from recurrent_cells.config.schema import SweepConfig
from recurrent_cells.sweeps.plan import Trial
from recurrent_cells.tracking.patience import patiently, store_failures
from recurrent_cells.tracking.steering import (
    SECONDS_BETWEEN_LOOKS,
    read_orders,
    set_limits,
    take_back_budget,
    too_many_failed,
)
from recurrent_cells.tracking.store import Store
from recurrent_cells.trial.outcome import Outcome


class Limits:
    """Watches what may end a sweep before its plan is done.

    Attributes:
        reason: why no more trials start; empty while they may.
        skipped: trials that the sweep is to leave out, by fingerprint, with the reasons.

    Args:
        known: seconds that a trial takes, by its shape, as far as the store knows.
    """

    def __init__(self, settings: SweepConfig, store: Store, parent: str | None, known: Mapping[str, float]) -> None:
        self._store, self._parent, self._used = store, parent, f"sweep.budget={settings.budget} is used"
        self._end = None if settings.budget is None else time.monotonic() + seconds_of(settings.budget)
        self._most_failures, self._failures = settings.stop_after_failures, 0
        self._known, self._measured = known, defaultdict[str, list[float]](list)
        self._started: dict[Trial, float] = {}
        self._next_look = 0.0
        self.reason = ""
        self.skipped: Mapping[str, str] = {}

    def announce(self) -> None:
        """Have the trials know by the parent's tags what they have to keep wherever they run."""
        if (parent := self._parent) is not None:
            patiently(lambda: set_limits(self._store, parent, self._ends, self._most_failures), self._store.patience)

    def _correct_budget(self) -> None:
        """Set the parent's tag anew: a clock may have been set since, or another start of the sweep have a budget."""
        if (parent := self._parent) is None:
            return
        if self._end is None:
            patiently(lambda: take_back_budget(self._store, parent), self._store.patience)
        else:
            patiently(lambda: set_limits(self._store, parent, self._ends, None), self._store.patience)

    @property
    def _ends(self) -> float | None:
        """When the budget is used, in seconds since 1970."""
        return None if self._end is None else time.time() + self._end - time.monotonic()

    def refused(self, trial: Trial) -> Outcome | None:
        """What becomes of a trial that has not begun and is not to; None if it may."""
        if self.reason or not self._has_time_for([trial]):
            return Outcome("left", error=self.reason or self._used)
        return self.left_out(trial)

    def left_out(self, trial: Trial) -> Outcome | None:
        """What becomes of a trial that the sweep is to leave out; None if it is not."""
        if trial.fingerprint in self.skipped:
            return Outcome("stopped", error=f"skipped: {self.skipped[trial.fingerprint]}")
        return None

    def look(self) -> None:
        """See whether the budget is used while trials run or wait and, now and then, what the parent's tags ask for."""
        if self.is_over and not self.reason:
            self.reason = self._used
        if self._parent is None or time.monotonic() < self._next_look:
            return
        self._next_look = time.monotonic() + SECONDS_BETWEEN_LOOKS
        with suppress(*store_failures()):  # the next look comes in time
            orders = read_orders(self._store, self._parent)
            self.skipped = orders.skipped
            self.reason = self.reason or orders.over

    def allow(self, trials: Sequence[Trial]) -> bool:
        """Whether trials may start as one program; once some would not end in time, as far as is known, none may."""
        if not (self.reason or self._has_time_for(trials)):
            self.reason = self._used
        return not self.reason

    def _has_time_for(self, trials: Sequence[Trial]) -> bool:
        """Whether trials that start now as one program end within the budget, as far as is known."""
        if self._end is None:
            return True
        known = [
            median(self._measured[it.shape]) if it.shape in self._measured else self._known.get(it.shape, 0.0)
            for it in trials
        ]
        return time.monotonic() + max(known) < self._end

    @property
    def is_over(self) -> bool:
        """Whether the budget is used, so that running trials are to save their state and end."""
        return self._end is not None and time.monotonic() >= self._end

    def started(self, trials: Sequence[Trial]) -> None:
        self._started |= dict.fromkeys(trials, time.monotonic())

    def ended(self, trial: Trial, outcome: Outcome) -> None:
        seconds = time.monotonic() - self._started.pop(trial)
        if outcome.status == "finished":
            self._measured[trial.shape].append(seconds)
        self._failures += outcome.status == "failed"
        if outcome.status == "left":
            self._next_look = 0.0  # what the trial knows of its sweep is to be known here
            self._correct_budget()
        if self._most_failures is not None and self._failures >= self._most_failures:
            self.reason = too_many_failed(self._most_failures)
