"""What a Slurm job does on its node: trains a trial, and goes on with it after a requeue."""

import json
import os
import signal
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from types import FrameType

from recurrent_cells.config.schema import Config
from recurrent_cells.files import write_atomically
from recurrent_cells.sweeps.shipment import Shipment
from recurrent_cells.sweeps.slurm import queue
from recurrent_cells.tracking.patience import patiently
from recurrent_cells.tracking.provenance import ATTEMPT_VARIABLE
from recurrent_cells.tracking.recovery import mark_attempt_killed, recover
from recurrent_cells.tracking.store import open_store

# A trial that its time limit stops so often makes no progress.
MOST_RESTARTS = 100


def outcome_file(folder: Path, index: int) -> Path:
    return folder / f"{index}.json"


def train(shipment: Shipment, config: Config, folder: Path, index: int) -> None:
    """Train the trial of a task of the array in a folder, and leave the outcome there.

    Slurm says by SIGUSR2 that the time limit is near: the trial saves its state, and the job is requeued.
    """
    attempt, restarts = f"{folder.name}-{index}", int(os.environ.get("SLURM_RESTART_COUNT", "0"))
    limit = _TimeLimit()
    if restarts:
        shipment.unpack()
        _bury(config, attempt)
    (outcome,) = shipment.trained([config], {ATTEMPT_VARIABLE: attempt})
    write_atomically(outcome_file(folder, index), json.dumps(asdict(outcome)).encode())
    if limit.is_near and outcome.status == "killed" and restarts < MOST_RESTARTS:
        with suppress(queue.SlurmError):  # a cluster that does not requeue: whoever waits submits the trial again
            queue.requeue(os.environ["SLURM_JOB_ID"])


class _TimeLimit:
    """Takes SIGUSR2 for a first SIGTERM."""

    def __init__(self) -> None:
        self.is_near = False
        signal.signal(signal.SIGUSR2, self)

    def __call__(self, signum: int, frame: FrameType | None) -> None:
        self.is_near = True
        os.kill(os.getpid(), signal.SIGTERM)


def _bury(config: Config, attempt: str) -> None:
    """Have the store know that this task's earlier process is gone, on whatever node it was."""
    tracking = config.tracking
    store = patiently(lambda: open_store(tracking.experiment, tracking.patience), tracking.patience)
    patiently(lambda: recover(store), store.patience)
    patiently(lambda: mark_attempt_killed(store, attempt, "its Slurm job was requeued"), store.patience)
