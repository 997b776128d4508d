"""Training a recorded trial again with the code it was trained with: its commit and what it had of uncommitted changes.

The only place that runs code from a store, and only when asked to.
"""

import logging
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from recurrent_cells.errors import UserError
from recurrent_cells.interrupts import Interruption, dying_with_this, handled
from recurrent_cells.paths import HOME, HOME_VARIABLE
from recurrent_cells.tracking.artifacts import read_code
from recurrent_cells.tracking.checkout import UNKNOWN, repository, worktree
from recurrent_cells.tracking.names import Tag
from recurrent_cells.tracking.provenance import packages
from recurrent_cells.tracking.queries import TrialRecord, trial_records
from recurrent_cells.tracking.recovery import recover
from recurrent_cells.tracking.status import set_ended
from recurrent_cells.tracking.store import Store
from recurrent_cells.trial.claim import result_of
from recurrent_cells.trial.reproduce import Original

KEY = "reproduce_code=original"
CHANGED_FILE = re.compile(rb"^diff --git a/(.*) b/", re.MULTILINE)

log = logging.getLogger(__name__)


def train_original(original: Original) -> dict[str, Any]:
    """Train a recorded trial in a worktree of its commit, its changes applied, with the packages that are here.

    Raises:
        UserError: if the code is not to be had.
        SystemExit: with the code of the process that trained, if that did not finish the trial and said why.
    """
    store, record = original.store, original.record
    changes, packages_then = read_code(store, record)
    root = _repository_for(record, changes)
    if differences := _differences(packages_then, packages()):
        log.warning("%s: packages are not as they were: %s", KEY, "; ".join(differences))
    commit = record.tags.get(Tag.GIT_COMMIT, UNKNOWN)
    try:
        with worktree(root, commit, changes, store.folder) as folder:
            _give_up_killed(store, record.run_id)
            files = [name.decode(errors="replace") for name in CHANGED_FILE.findall(changes)]
            kept = f" with the changes that the store keeps of {', '.join(files)}" if files else ""
            log.warning("%s: the code of commit %s%s runs now, in %s", KEY, commit, kept, folder)
            code = _train_in(folder, [f"reproduce={record.run_id}", *original.overrides])
    except UserError as error:
        raise UserError(f"{KEY}: {error}") from None
    again = max(_reproductions(store, record.run_id), key=lambda it: it.end_time, default=None)
    if code or again is None or again.status != "FINISHED":
        raise SystemExit(code)
    return result_of(again)


def _repository_for(record: TrialRecord, changes: bytes) -> Path:
    """The repository of the code, which has to have what the run says of its code."""
    root = repository()
    if root is None:
        raise UserError(f"{KEY}: this code is in no git repository; run the command in a clone that has the commit")
    if record.tags.get(Tag.GIT_DIRTY) == "true" and not changes:
        raise UserError(f"{KEY}: run {record.name} had uncommitted changes, which were not kept")
    return root


def _differences(then: Sequence[str], now: Sequence[str]) -> list[str]:
    """The packages that were other than they are; none if nothing is known of then."""
    before, after = (dict(it.partition("==")[::2] for it in lines) for lines in (then, now))
    return [
        f"{name} {before.get(name, 'absent')} then, {after.get(name, 'absent')} now"
        for name in sorted(before.keys() | after.keys())
        if then and before.get(name) != after.get(name)
    ]


def _give_up_killed(store: Store, run_id: str) -> None:
    """Have no reproduction gone on with that was killed: other code may have trained it so far."""
    recover(store)
    for run in _reproductions(store, run_id):
        if run.status == "KILLED":
            set_ended(store, run.run_id, "FAILED", {Tag.ERROR: f"given up for one with {KEY}"})
            shutil.rmtree(store.trial_folder(run.run_id), ignore_errors=True)


def _reproductions(store: Store, run_id: str) -> list[TrialRecord]:
    return trial_records(store, f"tags.{Tag.REPRODUCES} = '{run_id}'")


def _train_in(folder: Path, arguments: Sequence[str]) -> int:
    """Train with the code of a folder, and the store of this process; the exit code."""
    paths = [str(folder), str(folder / "src"), *filter(None, [os.environ.get("PYTHONPATH")])]
    with handled() as interruption, interruption.deferred():
        process = subprocess.Popen(
            dying_with_this(["-P", "-m", "src.train", *arguments]),
            env=os.environ | {HOME_VARIABLE: str(HOME), "PYTHONPATH": os.pathsep.join(paths)},
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
        code = _waited_for(process, interruption)
    return code if code >= 0 else 128 - code


def _waited_for(process: "subprocess.Popen[bytes]", interruption: Interruption) -> int:
    """The exit code of a process to which signals are passed on."""
    try:
        while process.poll() is None:
            if (signum := interruption.take()) is not None:
                process.send_signal(signum)
            with suppress(subprocess.TimeoutExpired):
                process.wait(0.2)
    finally:
        process.kill()
    return process.wait()
