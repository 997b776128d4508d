"""The parent run of a sweep: found again by the same plan, counting what became of its trials."""

import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from recurrent_cells.sweeps.plan import Trial
from recurrent_cells.tracking import artifacts
from recurrent_cells.tracking.artifacts import PlanEntry
from recurrent_cells.tracking.copies import sync_files
from recurrent_cells.tracking.locks import alone
from recurrent_cells.tracking.names import Tag
from recurrent_cells.tracking.parents import create_parent, find_parent, read_parent
from recurrent_cells.tracking.provenance import git_tags, process_tags
from recurrent_cells.tracking.status import set_ended, set_running, set_tags
from recurrent_cells.tracking.store import Store


@dataclass(frozen=True)
class Parent:
    """The parent run of a sweep. A trial counts as finished if its run ended at `since` (milliseconds) or later."""

    run_id: str
    since: int


def open_parent(store: Store, trials: Sequence[Trial], name: str, again: bool, plan: str | None = None) -> Parent:
    """The sweep's parent, RUNNING: the latest of the same plan, or a new one.

    Args:
        again: whether trials finished before are to be trained again. Where that is already under way the sweep goes
            on: `since` stays what it was.
        plan: the name of a plan that grows (`write_plan` keeps it); else the plan is named by its trials.
    """
    plan = plan or hashlib.sha256("".join(sorted(trial.fingerprint for trial in trials)).encode()).hexdigest()[:16]
    with alone(store.folder, f"{plan}.plan"):  # two sweeps of one plan, started together, share one parent
        known = find_parent(store, plan)
        run_id = create_parent(store, name, plan) if known is None else known.run_id
        since = 0
        if again:
            under_way = known is not None and known.status != "FINISHED"
            since = (since_of(store, run_id) if under_way else 0) or int(time.time() * 1000)
        tags = process_tags() | git_tags() | {Tag.SWEEP: run_id, Tag.SINCE: str(since)}
        set_running(store, run_id, tags)
        if trials:
            write_plan(store, run_id, trials)
    return Parent(run_id, since)


def write_plan(store: Store, run_id: str, trials: Sequence[Trial]) -> None:
    """Keep the trials of a sweep with its parent."""
    set_tags(store, run_id, {Tag.TRIALS: str(len(trials))})
    entries = [PlanEntry(it.name, it.fingerprint, it.overrides, dict(it.varied), it.n_params) for it in trials]
    artifacts.write_plan(store, run_id, entries)


def since_of(store: Store, run_id: str) -> int:
    return read_parent(store, run_id).since


def close_parent(store: Store, run_id: str, counts: Mapping[str, int], status: str) -> None:
    """Set the counts of trials (`finished`, `failed`) and the status, its files being on the disk."""
    sync_files(store, run_id)
    set_ended(store, run_id, status, {f"{Tag.SWEEP}.{what}": str(count) for what, count in counts.items()})
