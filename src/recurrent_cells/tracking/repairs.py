"""Finished runs whose files in the store are damaged: found, brought again from what is left, or marked."""

import logging
import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from math import inf
from pathlib import Path

from mlflow.entities import LifecycleStage, Run
from mlflow.exceptions import MlflowException

from recurrent_cells.errors import TrialBusy
from recurrent_cells.tracking.copies import copies_of
from recurrent_cells.tracking.delivery import UNREAD
from recurrent_cells.tracking.locks import trial_lock
from recurrent_cells.tracking.manifest import Faults, describe, in_words, of_tags
from recurrent_cells.tracking.names import Tag
from recurrent_cells.tracking.queries import DAMAGED, faults_of, trial_records
from recurrent_cells.tracking.status import set_ended
from recurrent_cells.tracking.store import Store

SETTLING = 60.0  # seconds that a server may take to have on its disk what it was given

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Repair:
    """A run whose status was untrue, or whose end was undelivered, with its status before and now and the cause."""

    run_id: str
    name: str
    was: str
    status: str
    cause: str


def tell(repairs: Iterable[Repair]) -> None:
    """Log what was repaired."""
    for repair in repairs:
        log.info("run %s (%s): %s, %s", repair.name, repair.run_id[:8], repair.status, repair.cause)


def mend(store: Store, run: Run) -> tuple[str, list[Repair]]:
    """Bring again what the store has not whole of a FINISHED run; without that the run is no longer FINISHED."""
    originals = store.trial_folder(run.info.run_id) / "artifacts"
    known = of_tags(run.data.tags)
    expected = known if Tag.MANIFEST in run.data.tags else describe(originals) | known
    found, left = copies_of(store, run).mend(expected, originals)
    if left:
        return "FAILED", [_set_failed(store, run, left)]
    return "FINISHED", [repaired(run, "FINISHED", f"{in_words(found, 'was')}: brought again")] if found else []


def read_back(store: Store, seconds: float = inf) -> list[Repair]:
    """Read, for so many seconds, what a server has of runs' files, and remove the originals of those it has whole.

    What it was given a minute ago may not be on its disk yet, and waits.
    """
    deadline, repairs = time.monotonic() + seconds, list[Repair]()
    for folder in (folder for folder in trial_folders(store) if (folder / UNREAD).exists()):
        if time.time() - (folder / UNREAD).stat().st_mtime < SETTLING:
            continue
        if time.monotonic() > deadline:
            break
        with suppress(TrialBusy, MlflowException, OSError):  # a later start reads it
            with held(store, store.client.get_run(folder.name)) as run:
                status, found = mend(store, run) if run.info.lifecycle_stage == LifecycleStage.ACTIVE else ("", [])
                if found and status == "FINISHED":
                    (folder / UNREAD).touch()  # to be read once more
                else:
                    shutil.rmtree(folder, ignore_errors=True)
            repairs += found
    return repairs


def mark_damaged(store: Store, to_the_byte: bool = False) -> list[Repair]:
    """Mark the experiment's FINISHED runs FAILED whose files are not what was written: they are trained again.

    Args:
        to_the_byte: whether files on this machine are read; else, as those of a server, they are judged by their sizes.
    """
    repairs = []
    for record in trial_records(store):
        is_asked = record.status == DAMAGED or (record.status == "FINISHED" and to_the_byte)
        if is_asked and (faults := faults_of(store, record, to_the_byte)):
            repairs.append(_set_failed(store, store.client.get_run(record.run_id), faults))
    return repairs


def _set_failed(store: Store, run: Run, faults: Faults) -> Repair:
    """Mark a run FAILED that said FINISHED."""
    error = f"{in_words(faults)}: the same command trains it again"
    set_ended(store, run.info.run_id, "FAILED", {Tag.ERROR: error[:500]}, run.info.end_time)
    return repaired(run, "FAILED", error)


def repaired(run: Run, status: str, cause: str) -> Repair:
    return Repair(run.info.run_id, run.info.run_name or "", run.info.status, status, cause)


def trial_folders(store: Store) -> list[Path]:
    return sorted((store.folder / "trials").iterdir())


@contextmanager
def held(store: Store, run: Run) -> Iterator[Run]:
    """Hold the lock of a run's trial; the run, read again under the lock: its process may have ended it meanwhile."""
    fingerprint = run.data.tags.get(Tag.FINGERPRINT)
    own = replace(store, experiment_id=run.info.experiment_id)
    with trial_lock(own, fingerprint) if fingerprint else nullcontext():  # a parent has none
        yield store.client.get_run(run.info.run_id)
