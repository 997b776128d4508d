"""The end of a run: kept on disk first, then brought to the store, its originals removed when the store has it safe."""

import json
import shutil
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recurrent_cells.files import write_atomically
from recurrent_cells.tracking import manifest
from recurrent_cells.tracking.copies import copies_of
from recurrent_cells.tracking.journal import Journal
from recurrent_cells.tracking.manifest import Manifest
from recurrent_cells.tracking.names import Tag
from recurrent_cells.tracking.status import set_ended, set_tags
from recurrent_cells.tracking.store import Store

if TYPE_CHECKING:
    from mlflow.entities import Run

# In the folder of a trial: an end that is not delivered, or whose process has not said so yet.
OUTCOME = "outcome.json"
# The same once a server has the end: its copies have not been read back yet.
UNREAD = "unread.json"


class CopiesDiffer(OSError):
    """What the store has is not what the trial wrote."""


@dataclass(frozen=True)
class Outcome:
    """How a run ended; the time in milliseconds. `files` are its originals as the trial wrote them."""

    status: str
    tags: dict[str, str]
    end_time: int
    files: Manifest

    def write(self, folder: Path) -> None:
        write_atomically(folder / OUTCOME, json.dumps(vars(self)).encode())


def outcome_of(status: str, error: str = "") -> Outcome:
    """The outcome of a run that has just ended, its files not looked at yet."""
    return Outcome(status, {Tag.ERROR: error[:500]} if error else {}, int(time.time() * 1000), {})


def read_outcome(folder: Path) -> Outcome | None:
    """The end that a trial's folder holds; None if it holds none."""
    path = next((folder / name for name in (OUTCOME, UNREAD) if (folder / name).exists()), None)
    if path is None:
        return None
    entries: dict[str, Any] = json.loads(path.read_text())
    files = entries.get("files")  # earlier versions kept none
    known = manifest.describe(folder / "artifacts") if files is None else manifest.from_json(files)
    return Outcome(entries["status"], entries["tags"], entries["end_time"], known)


def keep_end(folder: Path, outcome: Outcome, tags: dict[str, str]) -> None:
    """Have the end of a run on disk, with the tags to be set at its end; raises OSError if there is no room."""
    files = {} if outcome.status == "KILLED" else manifest.describe(folder / "artifacts")
    stands_on = manifest.as_tags(files) if outcome.status == "FINISHED" else {}
    replace(outcome, tags=outcome.tags | tags | stands_on, files=files).write(folder)


def deliver(store: Store, run: "Run") -> None:
    """Bring the end of a run to the store: metrics, artifacts, tags, and the status last. May be repeated.

    When the store says FINISHED all that this stands on is on the disk; a server's disk no client can sync.

    Raises:
        CopiesDiffer: if the store has not what the trial wrote.
    """
    run_id = run.info.run_id
    folder = store.trial_folder(run_id)
    outcome = read_outcome(folder)
    assert outcome is not None
    journal = Journal(folder)
    try:
        journal.deliver(store.client, run_id)
    finally:
        journal.close()
    copies = copies_of(store, run)
    copies.bring(folder / "artifacts")
    faults = copies.faults_by_size(outcome.files) if copies.folder is None else copies.faults(outcome.files)
    if faults:
        raise CopiesDiffer(f"its copies are not what the trial wrote: {manifest.in_words(faults)}")
    set_ended(store, run_id, outcome.status, outcome.tags, outcome.end_time)


def clear(store: Store, run: "Run", status: str) -> None:
    """Remove the files of an ended and delivered run, but for those that a run goes on from which has not ended.

    Originals of which a server has the copies stay until these have been read back.
    """
    folder = store.trial_folder(run.info.run_id)
    if status not in ("FINISHED", "FAILED"):
        (folder / OUTCOME).unlink(missing_ok=True)
    elif status == "FINISHED" and copies_of(store, run).folder is None:
        (folder / "state.ckpt").unlink(missing_ok=True)
        with suppress(FileNotFoundError):
            (folder / OUTCOME).rename(folder / UNREAD)
    else:
        shutil.rmtree(folder, ignore_errors=True)


def add_files(store: Store, run_id: str, folder: Path) -> None:
    """Bring further files of a finished run to the store, and have the run stand on them too."""
    run = store.client.get_run(run_id)
    copies_of(store, run).bring(folder)
    set_tags(store, run_id, manifest.as_tags(manifest.of_tags(run.data.tags) | manifest.describe(folder)))
