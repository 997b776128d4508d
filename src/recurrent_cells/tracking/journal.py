"""The metrics of one run, on disk first and in MLflow soon after: delivered in order and once."""

import json
import logging
import os
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recurrent_cells.errors import Halted, Stopped, SweepOver
from recurrent_cells.files import write_atomically
from recurrent_cells.tracking.patience import reason
from recurrent_cells.tracking.spool import Spool
from recurrent_cells.tracking.status import beat
from recurrent_cells.tracking.steering import BUDGET_USED, SECONDS_BETWEEN_LOOKS, Orders, asked_to_stop
from recurrent_cells.tracking.store import Store

if TYPE_CHECKING:
    from mlflow import MlflowClient

BATCH = 1000  # the most metrics MLflow takes at once
SECONDS_BETWEEN_DELIVERIES = 2.0
SECONDS_BETWEEN_BEATS = 60.0
PAUSE_FACTOR = 10  # what a courier does rests so many times as long as it took: many journals, a busy machine

log = logging.getLogger(__name__)


class Journal:
    """An append-only file of metric points with a mark of how many are delivered.

    A point written before (a trial resumed from an earlier step repeats some) is dropped. A point delivered twice,
    because the mark was lost, has the same timestamp and MLflow ignores it. A point is delivered only once it is on
    disk: else a trial resumed after a crash would write it again with another timestamp.
    """

    def __init__(self, folder: Path) -> None:
        path = folder / "journal.jsonl"
        self._mark = folder / "delivered"
        self._lock = threading.Lock()
        lines = _whole_lines(path)
        points = [json.loads(line) for line in lines]
        self._written: set[tuple[str, int]] = {(point["key"], point["step"]) for point in points}
        self._delivered = min(self._marked(), len(lines))
        self._pending = lines[self._delivered :]
        self._spool = Spool(path)

    def _marked(self) -> int:
        try:
            return int(self._mark.read_text())
        except (OSError, ValueError):
            return 0

    def write(self, metrics: dict[str, float], step: int) -> None:
        """Take points at once, whether or not disk and store take them."""
        timestamp = int(time.time() * 1000)
        with self._lock:
            fresh = [key for key in metrics if (key, step) not in self._written]
            lines = [
                json.dumps({"key": key, "value": metrics[key], "step": step, "timestamp": timestamp}) for key in fresh
            ]
            self._spool.append("".join(f"{line}\n" for line in lines).encode())
            self._written.update((key, step) for key in fresh)
            self._pending.extend(lines)

    def sync(self) -> None:
        """Have every point on disk; raises OSError if it does not take them."""
        self._spool.sync()

    def deliver(self, client: "MlflowClient", run_id: str) -> None:
        """Send what is pending; raises OSError or MLflow's exception if disk or store do not take it."""
        from mlflow.entities import Metric

        while True:
            with self._lock:
                lines = self._pending[:BATCH]
            if not lines:
                return
            self.sync()
            points: list[dict[str, Any]] = [json.loads(line) for line in lines]
            client.log_batch(run_id, metrics=[Metric(**point) for point in points])
            with self._lock:
                self._pending = self._pending[len(lines) :]
                self._delivered += len(lines)
            write_atomically(self._mark, str(self._delivered).encode())

    def close(self) -> None:
        self._spool.close()


def _whole_lines(path: Path) -> list[str]:
    """The lines written whole; a line that a crash cut short is cut off the file."""
    if not path.exists():
        return []
    content = path.read_bytes()
    whole = content[: content.rfind(b"\n") + 1]
    if len(whole) < len(content):
        os.truncate(path, len(whole))
    return whole.decode().splitlines()


class Courier(threading.Thread):
    """Delivers journals from time to time while training goes on; a store that fails is tried again.

    Now and then it beats for their runs, and for the parent runs in `parents`, and tells a run what asks it to stop.

    Args:
        orders: of the sweep whose trials the runs are.
    """

    def __init__(self, store: Store, parents: Iterable[str] = (), orders: Orders | None = None) -> None:
        super().__init__(daemon=True, name="courier")
        self._store, self._parents = store, list(parents)
        self.orders = orders or Orders()
        self._journals: dict[str, Journal] = {}
        self._stops: dict[str, Callable[[Halted], None]] = {}
        self._delivering = threading.Lock()
        self._stop_asked = threading.Event()

    def add(self, run_id: str, journal: Journal, stop: Callable[[Halted], None]) -> None:
        """Take a journal on; `stop` takes that with which its run is to end before it is done."""
        with self._delivering:
            self._journals[run_id], self._stops[run_id] = journal, stop

    def remove(self, run_id: str) -> None:
        """After this call the courier leaves the journal alone."""
        with self._delivering:
            del self._journals[run_id], self._stops[run_id]

    def run(self) -> None:
        pauses = {
            self._deliver: SECONDS_BETWEEN_DELIVERIES,
            self._look: SECONDS_BETWEEN_LOOKS,
            self._beat: SECONDS_BETWEEN_BEATS,
        }
        due = {act: time.monotonic() + pause for act, pause in pauses.items()}
        failing: set[Callable[[], None]] = set()
        while True:
            act = min(due, key=lambda it: due[it])
            if self._stop_asked.wait(max(0.0, due[act] - time.monotonic())):
                return
            start = time.monotonic()
            try:
                act()
                if failing == {act}:
                    log.info("metrics are delivered again, none is lost")
                failing.discard(act)
            except Exception as error:
                if not failing:
                    log.warning("metrics cannot be delivered (%s): they are kept, training goes on", reason(error))
                failing.add(act)
            end = time.monotonic()
            due[act] = end + max(pauses[act], PAUSE_FACTOR * (end - start))

    def _deliver(self) -> None:
        for run_id in list(self._journals):
            with self._delivering:
                if run_id in self._journals:
                    self._journals[run_id].deliver(self._store.client, run_id)

    def _beat(self) -> None:
        beat(self._store, [*self._journals, *self._parents])

    def _look(self) -> None:
        if self.orders.is_budget_used:
            self._halt(dict.fromkeys(list(self._stops), SweepOver(BUDGET_USED)))
        self._halt({run_id: Stopped(why) for run_id, why in asked_to_stop(self._store).items()})

    def _halt(self, runs: Mapping[str, Halted]) -> None:
        with self._delivering:
            for run_id in runs.keys() & self._stops.keys():
                self._stops[run_id](runs[run_id])

    def stop(self) -> None:
        self._stop_asked.set()
        self.join()
