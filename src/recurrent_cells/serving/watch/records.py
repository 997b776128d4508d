"""The trials' runs of an experiment: read once, then kept up with what changes."""

import time

from recurrent_cells.tracking.queries import TrialRecord, trial_records
from recurrent_cells.tracking.status import UNDER_WAY
from recurrent_cells.tracking.store import Store

# Between two times at which all is read, which finds what the looks between them miss: a deleted run, a clock set back.
SECONDS_BETWEEN_READS = 300.0
AT_ONCE = 100  # run ids in one search


class Records:
    """The runs that are trials, by run id."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: dict[str, TrialRecord] = {}
        self._looked, self._next_read = 0, 0.0
        self._read()

    @property
    def all(self) -> list[TrialRecord]:
        """Oldest first."""
        return list(self._known.values())

    def __getitem__(self, run_id: str) -> TrialRecord:
        return self._known[run_id]

    def look(self) -> bool:
        """Read what may have changed since the last look; whether the status of a run has."""
        before = {run_id: record.status for run_id, record in self._known.items()}
        if time.monotonic() > self._next_read:
            self._read()
        else:
            latest = max((record.end_time for record in self._known.values()), default=0)
            found = self._search("attributes.status = 'RUNNING'")
            found |= self._search(f"attributes.end_time > {min(latest, self._looked)}")
            self._looked = _now()
            unseen = [it for it, status in before.items() if status in UNDER_WAY and it not in found]
            for start in range(0, len(unseen), AT_ONCE):
                ids = ", ".join(f"'{run_id}'" for run_id in unseen[start : start + AT_ONCE])
                found |= self._search(f"attributes.run_id IN ({ids})")
            self._known |= found
        return before != {run_id: record.status for run_id, record in self._known.items()}

    def _read(self) -> None:
        self._looked, self._next_read = _now(), time.monotonic() + SECONDS_BETWEEN_READS
        self._known = {record.run_id: record for record in trial_records(self._store)}

    def _search(self, condition: str) -> dict[str, TrialRecord]:
        return {record.run_id: record for record in trial_records(self._store, condition)}


def _now() -> int:
    """As runs have their times, in milliseconds."""
    return int(1000 * time.time())
