"""Locks on this machine, released by the kernel when their holder dies."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from recurrent_cells.errors import TrialBusy
from recurrent_cells.tracking.patience import patiently

if TYPE_CHECKING:
    from recurrent_cells.tracking.store import Store


@contextmanager
def alone(folder: Path, name: str) -> Iterator[None]:
    """Run the body in one process at a time; others wait."""
    path = folder / "locks" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def trial_lock(store: "Store", fingerprint: str) -> Iterator[None]:
    """Hold a trial of the store's experiment while the body runs.

    Raises:
        TrialBusy: if another process holds it.
        DeliveryError: if its file cannot be opened for as long as the store is waited for.
    """
    path = store.folder / "locks" / store.experiment_id / fingerprint

    def opened() -> TextIO:
        path.parent.mkdir(parents=True, exist_ok=True)
        return path.open("w")

    complaint = f"{path}: cannot be opened ({{reason}}); once it can the same command goes on"
    with patiently(opened, store.patience, OSError, complaint) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise TrialBusy(f"trial {fingerprint} is being trained by another process on this machine") from None
        yield
