"""Runs whose process is gone: told from living ones, and given their true status."""

import logging
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from mlflow.entities import Run

from recurrent_cells.errors import TrialBusy
from recurrent_cells.tracking.delivery import OUTCOME, UNREAD, clear, deliver, read_outcome
from recurrent_cells.tracking.liveness import cause_of_death, forget_ended
from recurrent_cells.tracking.manifest import faults_by_content, read_in
from recurrent_cells.tracking.names import Tag
from recurrent_cells.tracking.patience import patiently, reason
from recurrent_cells.tracking.provenance import is_this_process
from recurrent_cells.tracking.queries import TrialRecord, find_trial, search
from recurrent_cells.tracking.repairs import (
    Repair,
    held,
    mark_damaged,
    mend,
    read_back,
    repaired,
    tell,
    trial_folders,
)
from recurrent_cells.tracking.status import is_deleted, set_ended
from recurrent_cells.tracking.store import Store

AT_ONCE = 100  # run ids in one search

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Kept:
    """The end of a run that the store does not take, and the folder where it lies."""

    folder: Path
    cause: str


def recover(store: Store, but: str | None = None) -> list[Repair]:
    """Deliver what ended runs left behind, all but one if it is named, and mark those KILLED whose process is gone."""
    delivered, kept = deliver_kept(store, but)
    repairs = delivered + mark_killed(store)
    forget_ended(store)
    tell(repairs)
    for end in kept:
        log.warning("the end of a run could not be delivered (%s): kept in %s", end.cause, end.folder)
    return repairs


def settle(store: Store) -> None:
    """Recover, and have no run say FINISHED whose files are not whole."""
    recover(store)
    tell(read_back(store, seconds=5) + mark_damaged(store))


def take_end(store: Store, fingerprint: str) -> TrialRecord | None:
    """Recover; the run of a trial that finished, its process having died before it could report that; else None.

    Raises:
        TrialBusy: if another process is delivering it.
        DeliveryError: if the store does not take the end.
    """
    condition = f" and tags.{Tag.FINGERPRINT} = '{fingerprint}'"
    folders = [folder for folder in trial_folders(store) if not (folder / UNREAD).exists()]
    for known in _runs_of(store, folders, condition):
        folder = store.trial_folder(known.info.run_id)
        if known.info.status != "FINISHED" and not (folder / OUTCOME).exists():
            continue
        complaint = f"the tracking store does not take the end of run {known.info.run_name} ({{reason}}): see {folder}"
        with held(store, known) as run:
            status, repairs = patiently(partial(_settle, store, run), store.patience, Exception, complaint)
            tell(repairs)
            if status == "FINISHED":
                recover(store, but=run.info.run_id)
                record = find_trial(store, run.info.run_id, "run")
                store.disconnect()  # closing writes: killed before the folder is gone, the next start tells of the run
                clear(store, run, status)
                return record
            clear(store, run, status)
    recover(store)
    tell(read_back(store, seconds=5))
    return None


def deliver_kept(store: Store, but: str | None = None) -> tuple[list[Repair], list[Kept]]:
    """Deliver the ends of runs kept on disk, whatever their experiment: those delivered, those still kept.

    What processes that died at the very end have left is removed, once it is seen that the store has it whole.

    Args:
        but: a run to be left alone.
    """
    folders = [folder for folder in trial_folders(store) if folder.name != but and not (folder / UNREAD).exists()]
    ended = {folder for folder in folders if (folder / OUTCOME).exists()}
    others = _runs_of(store, [folder for folder in folders if folder not in ended])
    ended |= {store.trial_folder(run.info.run_id) for run in others if run.info.status in ("FINISHED", "FAILED")}
    repairs: list[Repair] = []
    kept: list[Kept] = []
    for folder in sorted(ended):
        try:
            with held(store, store.client.get_run(folder.name)) as run:
                status, found = _settle(store, run)
                clear(store, run, status)
            repairs += found
        except TrialBusy:
            continue  # its own process delivers it just now
        except Exception as error:
            if is_deleted(store, folder.name):
                shutil.rmtree(folder, ignore_errors=True)  # who deleted a run does not want its end
            else:
                kept.append(Kept(folder, reason(error)))
    return repairs, kept


def _runs_of(store: Store, folders: Sequence[Path], condition: str = "") -> Iterator[Run]:
    """The runs, of whatever experiment, whose folders these are."""
    experiments = [it.experiment_id for it in store.client.search_experiments()] if folders else []
    for start in range(0, len(folders), AT_ONCE):
        ids = ", ".join(f"'{folder.name}'" for folder in folders[start : start + AT_ONCE])
        yield from store.client.search_runs(
            experiments, f"attributes.run_id IN ({ids}){condition}", max_results=AT_ONCE
        )


def _settle(store: Store, run: Run) -> tuple[str, list[Repair]]:
    """Bring to the store what it has not of an ended run; the run's status then, and what was done.

    An end whose files a power failure took, or a part of them, is none: the trial goes on from its last checkpoint.
    """
    folder = store.trial_folder(run.info.run_id)
    outcome = read_outcome(folder)
    if outcome is None or run.info.status == outcome.status:
        return mend(store, run) if run.info.status == "FINISHED" else (run.info.status, [])
    if faults_by_content(outcome.files, read_in(folder / "artifacts")):
        return "KILLED", []
    deliver(store, run)
    return outcome.status, [repaired(run, outcome.status, "its end was delivered")]


def mark_killed(store: Store) -> list[Repair]:
    """Mark the experiment's RUNNING runs KILLED whose process is gone.

    A process here is asked for; that of another machine is watched until its heartbeat has not changed for a while.
    """
    return [repair for run in search(store, "attributes.status = 'RUNNING'") for repair in _mark_killed(store, run)]


def at_work(store: Store) -> set[str]:
    """The fingerprints of trials that other processes, on whatever machine, are training."""
    running = [(run.info.run_id, run.data.tags) for run in search(store, "attributes.status = 'RUNNING'")]
    return {
        tags[Tag.FINGERPRINT]
        for run_id, tags in running
        if Tag.FINGERPRINT in tags and not is_this_process(tags) and cause_of_death(store, run_id, tags) is None
    }


def attempts_at_work(store: Store) -> list[str]:
    """The attempt ids of all RUNNING runs, whether or not their processes still live."""
    running = (run.data.tags.get(Tag.ATTEMPT) for run in search(store, "attributes.status = 'RUNNING'"))
    return [attempt for attempt in running if attempt]


def mark_attempt_killed(store: Store, attempt: str, cause: str) -> None:
    """Mark the run of an attempt KILLED, which its launcher saw die on whatever host."""
    for run in search(store, f"attributes.status = 'RUNNING' and tags.`{Tag.ATTEMPT}` = '{attempt}'"):
        _set_killed(store, run.info.run_id, cause)


def _mark_killed(store: Store, run: Run) -> Iterator[Repair]:
    run_id = run.info.run_id
    if cause_of_death(store, run_id, run.data.tags) is None:
        return
    try:
        with held(store, run) as now:  # another process may have gone on with it since
            cause = cause_of_death(store, run_id, now.data.tags)
            if now.info.status == "RUNNING" and cause is not None:
                _set_killed(store, run_id, cause)
                yield repaired(run, "KILLED", cause)
    except TrialBusy:
        return


def _set_killed(store: Store, run_id: str, cause: str) -> None:
    set_ended(store, run_id, "KILLED", {Tag.ERROR: cause})
