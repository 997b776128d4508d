"""Whether the process of a run still works on it: asked for here, watched from here where it is on another machine."""

import json
import time
from collections.abc import Mapping
from contextlib import suppress

from recurrent_cells.files import write_atomically
from recurrent_cells.tracking.names import Tag
from recurrent_cells.tracking.provenance import boot_id, death_here, is_here
from recurrent_cells.tracking.store import Store

# A process on another machine counts as gone once its heartbeat has been seen not to change for this long, by the
# clock of who watches. It beats every minute, so that a store may be away for a while.
SILENCE = 300.0
# The folder of what was seen, by machine that saw it and run.
HEARTBEATS = "heartbeats"


def cause_of_death(store: Store, run_id: str, tags: Mapping[str, str]) -> str | None:
    """Why the process that a run's tags name cannot be at work; None if it may be, or if they name none."""
    if Tag.PID not in tags:
        return None
    if is_here(tags):
        return death_here(tags)
    seconds = watched(store, run_id, tags)
    if seconds < SILENCE:
        return None
    return f"the heartbeat from host {tags.get(Tag.HOST)} has not changed for {seconds:.0f} s"


def watched(store: Store, run_id: str, tags: Mapping[str, str]) -> float:
    """For how many seconds processes of this machine have seen the heartbeat of a run unchanged; 0 at first sight.

    Time is that since this machine began: nobody sets that clock.
    """
    path, now = store.folder / HEARTBEATS / boot_id() / run_id, time.monotonic()
    sight = [tags.get(Tag.HEARTBEAT, ""), tags.get(Tag.START, "")]
    with suppress(OSError, ValueError, TypeError):
        *before, since = json.loads(path.read_text())
        if before == sight and since <= now:
            return float(now - since)
    write_atomically(path, json.dumps([*sight, now]).encode())
    return 0.0


def forget_ended(store: Store) -> None:
    """Drop what was seen of runs that have ended."""
    for path in (store.folder / HEARTBEATS).glob("*/*"):
        with suppress(Exception):  # they are few, and small
            if store.client.get_run(path.name).info.status != "RUNNING":
                path.unlink(missing_ok=True)
