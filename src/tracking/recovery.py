"""Runs whose process is gone: told from living ones, and given their true status."""

import json
import logging
import shutil
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass

from mlflow.entities import Run, RunTag

from src.errors import TrialBusy
from src.tracking.journal import HEARTBEAT
from src.tracking.locks import trial_lock
from src.tracking.patience import reason
from src.tracking.provenance import boot_id, process_start
from src.tracking.queries import search
from src.tracking.run import deliver
from src.tracking.store import Store

# A process on another host counts as gone after this long without a heartbeat.
SILENCE = 600.0

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Repair:
    """A run that said something untrue, or whose end was undelivered, and what was done about it."""

    run_id: str
    name: str
    status: str
    cause: str


def recover(store: Store) -> list[Repair]:
    """Deliver what ended runs left behind and mark those KILLED whose process is gone."""
    repairs = list(_undelivered(store))
    for run in search(store, "attributes.status = 'RUNNING'"):
        cause = cause_of_death(run)
        if cause is None or not _was_ours(run):
            continue
        tags = [RunTag("error", cause)]
        store.client.log_batch(run.info.run_id, tags=tags)
        store.client.set_terminated(run.info.run_id, status="KILLED")
        repairs.append(Repair(run.info.run_id, run.info.run_name or "", "KILLED", cause))
    for repair in repairs:
        log.info("run %s (%s): %s, %s", repair.name, repair.run_id[:8], repair.status, repair.cause)
    return repairs


def _was_ours(run: Run) -> bool:
    return "process.pid" in run.data.tags


def cause_of_death(run: Run) -> str | None:
    """Why a RUNNING run cannot be running; None if it may be, or if its process is not known."""
    tags = run.data.tags
    if not _was_ours(run):
        return None
    host, pid = tags["process.host"], tags["process.pid"]
    if host != socket.gethostname():
        last = int(tags.get(HEARTBEAT, run.info.start_time // 1000))
        silence = time.time() - last
        return f"no sign of life from host {host} for {silence:.0f} s" if silence > SILENCE else None
    if tags["process.boot"] != boot_id():
        return f"host {host} was restarted"
    if process_start(int(pid)) != tags["process.start"]:
        return f"process {pid} is gone (killed, or the power failed)"
    return None


def _undelivered(store: Store) -> Iterator[Repair]:
    for outcome in sorted((store.folder / "trials").glob("*/outcome.json")):
        run_id = outcome.parent.name
        try:
            run = store.client.get_run(run_id)
            status = json.loads(outcome.read_text())["status"]
            if run.info.status == status:
                if status != "KILLED":
                    shutil.rmtree(outcome.parent, ignore_errors=True)
                continue
            with trial_lock(store.folder, run.data.tags["fingerprint"]):
                deliver(store, run_id)
        except TrialBusy:
            continue
        except Exception as error:
            log.warning("run %s could not be delivered (%s): kept in %s", run_id, reason(error), outcome.parent)
            continue
        yield Repair(run_id, run.info.run_name or "", status, "delivered now")
