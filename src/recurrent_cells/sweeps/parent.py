"""The parent run of a sweep: found again by the same plan, counting what became of its trials."""

import hashlib
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from recurrent_cells.sweeps.plan import Trial
from recurrent_cells.tracking import artifacts
from recurrent_cells.tracking.artifacts import PlanEntry
from recurrent_cells.tracking.checkout import git_tags
from recurrent_cells.tracking.copies import sync_files
from recurrent_cells.tracking.locks import alone
from recurrent_cells.tracking.names import Tag
from recurrent_cells.tracking.parents import ParentRun, create_parent, find_parent, next_opening
from recurrent_cells.tracking.provenance import process_tags
from recurrent_cells.tracking.queries import Earlier, TrialRecord, trial_records
from recurrent_cells.tracking.status import set_ended, set_running, set_tags
from recurrent_cells.tracking.steering import take_back_skips
from recurrent_cells.tracking.store import Store


@dataclass(frozen=True)
class Parent:
    """The parent run of a sweep. In a round of training all again the runs that had ended before do not count."""

    run_id: str
    round: str = ""
    earlier: Earlier = field(default_factory=dict)


def open_parent(store: Store, trials: Sequence[Trial], name: str, rerun: str, plan: str | None = None) -> Parent:
    """The sweep's parent, RUNNING: the latest of the same plan, or a new one.

    Args:
        rerun: as `sweep.rerun`. With `all`, trials finished before are trained again; where that is already under way
            the sweep goes on: the round stays what it was.
        plan: the name of a plan that grows (`write_plan` keeps it); else the plan is named by its trials.
    """
    plan = plan or hashlib.sha256("".join(sorted(trial.fingerprint for trial in trials)).encode()).hexdigest()[:16]
    with alone(store.folder, f"{plan}.plan"):  # two sweeps of one plan, started together, share one parent
        known = find_parent(store, plan)
        run_id = create_parent(store, name, plan) if known is None else known.run_id
        name, earlier = _round(store, run_id, known) if rerun == "all" else ("", {})
        tags = {Tag.SWEEP: run_id, Tag.ROUND: name, Tag.OPENED: next_opening(store)}
        if rerun in ("stopped", "all"):
            take_back_skips(store, run_id)
        set_running(store, run_id, process_tags() | git_tags() | tags)
        if trials:
            write_plan(store, run_id, trials)
    return Parent(run_id, name, earlier)


def _round(store: Store, run_id: str, known: ParentRun | None) -> tuple[str, Earlier]:
    """The round of training all again that is under way, or a new one; and the runs that do not count in it."""
    if known is not None and known.open_round:
        return known.open_round, artifacts.read_earlier(store, known, known.open_round)
    name, earlier = uuid.uuid4().hex[:8], ended(trial_records(store))
    artifacts.write_earlier(store, run_id, name, earlier)  # before the parent names the round
    return name, earlier


def ended(records: Iterable[TrialRecord]) -> Earlier:
    """The runs that have ended for good, by fingerprint."""
    found: dict[str, list[str]] = {}
    for record in records:
        if record.status in ("FINISHED", "FAILED"):
            found.setdefault(record.fingerprint, []).append(record.run_id)
    return found


def write_plan(store: Store, run_id: str, trials: Sequence[Trial]) -> None:
    """Keep the trials of a sweep with its parent."""
    made_of = " ".join(sorted({trial.configuration for trial in trials}))
    configurations = hashlib.sha256(made_of.encode()).hexdigest()[:16]
    set_tags(store, run_id, {Tag.TRIALS: str(len(trials)), Tag.CONFIGURATIONS: configurations})
    entries = [
        PlanEntry(it.name, it.fingerprint, it.overrides, dict(it.varied), it.n_params, it.steps) for it in trials
    ]
    artifacts.write_plan(store, run_id, entries)


def close_parent(
    store: Store, run_id: str, counts: Mapping[str, int], status: str, tags: Mapping[str, str] | None = None
) -> None:
    """Set the counts of trials (`finished`, `failed`), more tags and the status, its files being on the disk."""
    sync_files(store, run_id)
    counted = {f"{Tag.SWEEP}.{what}": str(count) for what, count in counts.items()}
    set_ended(store, run_id, status, {**(tags or {}), **counted, Tag.OPENED: next_opening(store)})
