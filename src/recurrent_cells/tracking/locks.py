"""Locks on this machine, released by the kernel when their holder dies."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from recurrent_cells.errors import TrialBusy

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
    """
    path = store.folder / "locks" / store.experiment_id / fingerprint
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise TrialBusy(f"trial {fingerprint} is being trained by another process on this machine") from None
        yield
