"""A sweep as the page shows it, kept up with the store."""

import secrets
import time
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from recurrent_cells.errors import UserError
from recurrent_cells.serving.watch.comparison import compared
from recurrent_cells.serving.watch.curves import Curves
from recurrent_cells.serving.watch.outlook import search_of, seconds_left
from recurrent_cells.serving.watch.records import Records
from recurrent_cells.serving.watch.rows import Configurations, row
from recurrent_cells.serving.watch.seeds import Seeds, seeds_of
from recurrent_cells.sweeps.dry_run import seconds_by_shape
from recurrent_cells.sweeps.results import PlannedTrial, find_sweeps, joined
from recurrent_cells.tracking.names import Curve, Tag
from recurrent_cells.tracking.parents import ParentRun, read_parent
from recurrent_cells.tracking.queries import TrialRecord
from recurrent_cells.tracking.recovery import mark_killed
from recurrent_cells.tracking.status import UNDER_WAY
from recurrent_cells.tracking.store import Store

# However many pages ask.
SECONDS_BETWEEN_LOOKS = 2.0
# The sweep needs the processors: so many times as long as a look computed passes until the next, at most so long.
PAUSE_FACTOR, LONGEST_PAUSE = 50, 20.0
# Between two times at which is seen to it that no run says RUNNING whose process is gone.
SECONDS_BETWEEN_CHECKS = 30.0
UNNAMED = (Tag.HEARTBEAT,)  # tags of the parent that change without anything to show


class WatchedSweep:
    """What is known of one sweep, by versions: each look that finds something new makes one.

    Args:
        which: `latest`, or a sweep's run id or its beginning.

    Raises:
        UserError: if there is no such sweep, or there are several.

    Attributes:
        trials: by fingerprint.
        seeds: whether some can be added.
    """

    trials: Mapping[str, PlannedTrial]
    seeds: Seeds

    def __init__(self, store: Store, which: str) -> None:
        self.store, parents = find_sweeps(store, which)
        if len(parents) > 1:
            raise UserError(f"sweep={which}: a page shows one sweep; give one")
        self._name, self._version = secrets.token_hex(4), 0
        self._next_look = self._next_check = 0.0
        self._curves = Curves(self.store)
        self._rows: dict[str, tuple[int, dict[str, Any]]] = {}
        self._read_whole: set[str] = set()
        self._check()
        self._records = Records(self.store)
        self.parent: ParentRun = read_parent(self.store, parents[0].run_id)
        self._join()
        self._update()

    def record(self, trial: PlannedTrial) -> TrialRecord | None:
        """The trial's run as last seen."""
        return self._records[trial.record.run_id] if trial.record else None

    def look(self, at_once: bool = False) -> None:
        """See what is new in the store, if the last look was a while ago or it is to be seen at once."""
        if time.monotonic() < self._next_look and not at_once:
            return
        start = time.thread_time()
        if time.monotonic() > self._next_check:
            self._check()
        parent = read_parent(self.store, self.parent.run_id)
        has_changed = _shown(parent) != _shown(self.parent)
        self.parent = parent
        if self._records.look() or has_changed:
            self._join()
        self._update()
        pause = min(PAUSE_FACTOR * (time.thread_time() - start), LONGEST_PAUSE)
        self._next_look = time.monotonic() + max(SECONDS_BETWEEN_LOOKS, pause)

    def since(self, version: str) -> dict[str, Any]:
        """What the page shows, of trials and points what is newer than a version that the page has.

        Args:
            version: of an earlier answer; of another server, or empty, for all there is.
        """
        name, _, number = version.partition(".")
        known = int(number) if name == self._name and number.isascii() and number.isdecimal() else -1
        runs = [trial.record.run_id for trial in self._data.trials if trial.record]
        return {
            "version": f"{self._name}.{self._version}",
            "whole": known < 0,
            "sweep": self._described(),
            "configurations": list(self._configurations.described()),
            "trials": [found for changed, found in self._rows.values() if changed > known],
            "points": self._curves.since(runs, known),
            "comparison": self._comparison,
        }

    def _check(self) -> None:
        self._next_check = time.monotonic() + SECONDS_BETWEEN_CHECKS
        if self.store.original is None:
            mark_killed(self.store)

    def _join(self) -> None:
        """Put plan and runs together: after a start or an end of a trial, or where the sweep has changed."""
        self._data = joined(self.store, [self.parent], self._records.all)
        self.trials = {trial.fingerprint: trial for trial in self._data.trials}
        self._configurations = Configurations(self._data)
        self._seconds = seconds_by_shape(self._records.all)
        self._search = search_of(self.store, self.parent)
        self.seeds = seeds_of(self.store, self.parent, self._data, self._configurations, self._search is not None)
        places = self._configurations.of_trial
        labels = {it: self._configurations.labels[place] for it, place in places.items()}
        is_running = self.parent.status == "RUNNING"
        self._comparison = None if self._search else compared(self.store, self._data, labels, is_running)

    def _update(self) -> None:
        """Read the new points of trials under way, the whole curves of others once, and see which rows have changed."""
        version, trials = self._version + 1, self._data.trials
        runs = {trial.record.run_id: (trial, self._records[trial.record.run_id]) for trial in trials if trial.record}
        wanted = {run_id: trial.steps for run_id, (trial, _) in runs.items() if run_id not in self._read_whole}
        if wanted:
            metric = next(iter(runs.values()))[1].metric
            keys = (Curve.val(metric), Curve.VAL_LOSS, Curve.TRAIN_LOSS)
            self._curves.read(wanted, keys, version, len(trials))
            self._read_whole |= {run_id for run_id in wanted if runs[run_id][1].status not in UNDER_WAY}
        for trial in trials:
            place = self._configurations.of_trial[trial.fingerprint]
            found = row(trial, self.record(trial), place, self._curves, self.parent.tags, self._seconds)
            if self._rows.get(trial.fingerprint, (0, None))[1] != found:
                self._rows[trial.fingerprint] = version, found
        for fingerprint in self._rows.keys() - self.trials.keys():
            del self._rows[fingerprint]
        self._version = version

    def _described(self) -> dict[str, Any]:
        tags, first = self.parent.tags, next((it.record for it in self._data.trials if it.record), None)
        metric = first.metric if first else "acc"
        return {
            "name": self.parent.name,
            "run": self.parent.run_id,
            "status": self.parent.status,
            "started": self.parent.start_time,
            "ended": self.parent.end_time,
            "stop": tags.get(Tag.STOP, ""),
            "stopped": tags.get(Tag.STOPPED, ""),
            "trials": list(self.trials),
            "metric": metric,
            "is_share": first.is_share if first else True,
            "higher_is_better": first.higher_is_better if first else True,
            "can_write": self.store.original is None,
            "seeds": {"can_add": self.seeds.can_add, "words": self.seeds.words},
            "search": self._search and asdict(self._search),
            "left": seconds_left([found for _, found in self._rows.values()], self._search),
        }


def _shown(parent: ParentRun) -> tuple[str, dict[str, str]]:
    return parent.status, {key: value for key, value in parent.tags.items() if key not in UNNAMED}
