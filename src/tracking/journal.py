"""The metrics of one run, on disk first and in MLflow soon after: delivered in order and once."""

import json
import logging
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from src.files import write_atomically
from src.tracking.patience import reason

if TYPE_CHECKING:
    from mlflow import MlflowClient

BATCH = 1000  # the most metrics MLflow takes at once
SECONDS_BETWEEN_DELIVERIES = 2.0
SECONDS_BETWEEN_BEATS = 60.0
HEARTBEAT = "process.heartbeat"

log = logging.getLogger(__name__)


class Journal:
    """An append-only file of metric points with a mark of how many are delivered.

    A point written before (a trial resumed from an earlier step repeats some) is dropped. A point delivered twice,
    because the mark was lost, has the same timestamp and MLflow ignores it.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / "journal.jsonl"
        self._mark = folder / "delivered"
        self._lock = threading.Lock()
        self._written: set[tuple[str, int]] = set()
        lines = self._whole_lines()
        for line in lines:
            point = json.loads(line)
            self._written.add((point["key"], point["step"]))
        self._pending = lines[self._delivered() :]
        self._file = self._path.open("a", encoding="utf-8")

    def _whole_lines(self) -> list[str]:
        """The lines written whole; a line that a crash cut short is taken off."""
        if not self._path.exists():
            return []
        content = self._path.read_bytes()
        whole = content[: content.rfind(b"\n") + 1]
        if len(whole) < len(content):
            write_atomically(self._path, whole)
        return whole.decode().splitlines()

    def _delivered(self) -> int:
        try:
            return int(self._mark.read_text())
        except (OSError, ValueError):
            return 0

    def write(self, metrics: dict[str, float], step: int) -> None:
        timestamp = int(time.time() * 1000)
        with self._lock:
            fresh = [key for key in metrics if (key, step) not in self._written]
            lines = [
                json.dumps({"key": key, "value": metrics[key], "step": step, "timestamp": timestamp}) for key in fresh
            ]
            self._file.write("".join(f"{line}\n" for line in lines))
            self._file.flush()
            self._written.update((key, step) for key in fresh)
            self._pending.extend(lines)

    def deliver(self, client: "MlflowClient", run_id: str) -> None:
        """Send what is pending; raises MLflow's exception if the store does not take it."""
        from mlflow.entities import Metric

        while True:
            with self._lock:
                lines = self._pending[:BATCH]
            if not lines:
                return
            points: list[dict[str, Any]] = [json.loads(line) for line in lines]
            client.log_batch(run_id, metrics=[Metric(**point) for point in points])
            with self._lock:
                self._pending = self._pending[len(lines) :]
                delivered = self._delivered() + len(lines)
            write_atomically(self._mark, str(delivered).encode())

    def close(self) -> None:
        self._file.close()


class Courier(threading.Thread):
    """Delivers a journal from time to time while training goes on; a store that fails is tried again."""

    def __init__(self, journal: Journal, client: "MlflowClient", run_id: str) -> None:
        super().__init__(daemon=True, name="courier")
        self._journal, self._client, self._run_id = journal, client, run_id
        self._stop_asked = threading.Event()

    def run(self) -> None:
        failing, next_beat = False, time.monotonic() + SECONDS_BETWEEN_BEATS
        while not self._stop_asked.wait(SECONDS_BETWEEN_DELIVERIES):
            try:
                self._journal.deliver(self._client, self._run_id)
                if time.monotonic() > next_beat:
                    self._client.set_tag(self._run_id, HEARTBEAT, str(int(time.time())))
                    next_beat = time.monotonic() + SECONDS_BETWEEN_BEATS
                failing = False
            except Exception as error:
                if not failing:
                    log.warning("the tracking store does not take metrics (%s): kept on disk", reason(error))
                failing = True

    def stop(self) -> None:
        self._stop_asked.set()
        self.join()
