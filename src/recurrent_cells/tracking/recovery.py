"""Runs whose process is gone: told from living ones, and given their true status."""

import json
import logging
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

from mlflow.entities import Run

from recurrent_cells.errors import TrialBusy
from recurrent_cells.tracking.locks import trial_lock
from recurrent_cells.tracking.names import Tag
from recurrent_cells.tracking.patience import reason
from recurrent_cells.tracking.provenance import cause_of_death, is_this_process
from recurrent_cells.tracking.queries import search
from recurrent_cells.tracking.run import OUTCOME, clear, deliver
from recurrent_cells.tracking.status import set_ended
from recurrent_cells.tracking.store import Store

AT_ONCE = 100  # run ids in one search

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Repair:
    """A run whose status was untrue, or whose end was undelivered, with its status before and now and the cause."""

    run_id: str
    name: str
    was: str
    status: str
    cause: str


@dataclass(frozen=True)
class Kept:
    """The end of a run that the store does not take, and the folder where it lies."""

    folder: Path
    cause: str


def recover(store: Store) -> list[Repair]:
    """Deliver what ended runs left behind and mark those KILLED whose process is gone."""
    delivered, kept = deliver_kept(store)
    repairs = delivered + mark_killed(store)
    for repair in repairs:
        log.info("run %s (%s): %s, %s", repair.name, repair.run_id[:8], repair.status, repair.cause)
    for end in kept:
        log.warning("the end of a run could not be delivered (%s): kept in %s", end.cause, end.folder)
    return repairs


def deliver_kept(store: Store) -> tuple[list[Repair], list[Kept]]:
    """Deliver the ends of runs kept on disk, whatever their experiment: those delivered, those still kept."""
    delivered: list[Repair] = []
    kept: list[Kept] = []
    folders = list((store.folder / "trials").iterdir())
    ended = {folder for folder in folders if (folder / OUTCOME).exists()}
    for folder in sorted(ended):
        try:
            delivered += _deliver(store, folder)
        except TrialBusy:
            continue  # its own process delivers it just now
        except Exception as error:
            kept.append(Kept(folder, reason(error)))
    _clear_leftovers(store, [folder for folder in folders if folder not in ended])
    return delivered, kept


def _deliver(store: Store, folder: Path) -> Iterator[Repair]:
    run = store.client.get_run(folder.name)
    with _held(store, run):
        if not (folder / OUTCOME).exists():
            return
        status = json.loads((folder / OUTCOME).read_text())["status"]
        if run.info.status == status:
            clear(folder, status)  # a process delivered it and died before this
            return
        deliver(store, folder.name)
    yield Repair(folder.name, run.info.run_name or "", run.info.status, status, "its end was delivered")


def _clear_leftovers(store: Store, folders: Sequence[Path]) -> None:
    """Remove the folders of ended runs whose process died while removing them."""
    for start in range(0, len(folders), AT_ONCE):
        ids = ", ".join(f"'{folder.name}'" for folder in folders[start : start + AT_ONCE])
        for run in search(store, f"attributes.run_id IN ({ids})"):
            if run.info.status not in ("FINISHED", "FAILED"):
                continue
            try:
                with _held(store, run):
                    clear(store.trial_folder(run.info.run_id), run.info.status)
            except TrialBusy:
                continue


def mark_killed(store: Store) -> list[Repair]:
    """Mark the experiment's RUNNING runs KILLED whose process is gone.

    Silence counts on other hosts only: a process on this host is asked for.
    """
    return [repair for run in search(store, "attributes.status = 'RUNNING'") for repair in _mark_killed(store, run)]


def at_work(store: Store) -> set[str]:
    """The fingerprints of trials that other processes, on whatever machine, are training."""
    running = [run.data.tags for run in search(store, "attributes.status = 'RUNNING'")]
    return {
        tags[Tag.FINGERPRINT]
        for tags in running
        if Tag.FINGERPRINT in tags and not is_this_process(tags) and cause_of_death(tags) is None
    }


def attempts_at_work(store: Store) -> list[str]:
    """The attempts of RUNNING runs, dead or alive."""
    running = (run.data.tags.get(Tag.ATTEMPT) for run in search(store, "attributes.status = 'RUNNING'"))
    return [attempt for attempt in running if attempt]


def mark_attempt_killed(store: Store, attempt: str, cause: str) -> None:
    """Mark the run of an attempt KILLED, which its launcher saw die on whatever host."""
    for run in search(store, f"attributes.status = 'RUNNING' and tags.`{Tag.ATTEMPT}` = '{attempt}'"):
        _set_killed(store, run.info.run_id, cause)


def _mark_killed(store: Store, run: Run) -> Iterator[Repair]:
    if cause_of_death(run.data.tags) is None:
        return
    try:
        with _held(store, run):
            now = store.client.get_run(run.info.run_id)  # another process may have gone on with it since
            cause = cause_of_death(now.data.tags)
            if now.info.status == "RUNNING" and cause is not None:
                _set_killed(store, run.info.run_id, cause)
                yield Repair(run.info.run_id, run.info.run_name or "", "RUNNING", "KILLED", cause)
    except TrialBusy:
        return


def _set_killed(store: Store, run_id: str, cause: str) -> None:
    set_ended(store, run_id, "KILLED", {Tag.ERROR: cause})


def _held(store: Store, run: Run) -> AbstractContextManager[None]:
    """The lock of a trial, of whatever experiment; a parent has none."""
    fingerprint = run.data.tags.get(Tag.FINGERPRINT)
    own = replace(store, experiment_id=run.info.experiment_id)
    return trial_lock(own, fingerprint) if fingerprint else nullcontext()
