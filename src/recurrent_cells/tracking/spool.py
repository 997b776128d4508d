"""An append-only file on a disk that may be full for a while: what it does not take waits in memory, in order."""

import logging
import os
import threading
from contextlib import suppress
from pathlib import Path

from recurrent_cells.files import sync


class Spool:
    """Bytes on their way to the end of a file."""

    def __init__(self, path: Path) -> None:
        self._unnamed: Path | None = (
            None if path.exists() else path.parent
        )  # while the name of a new file is not synced
        self._descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        self._waiting = bytearray()
        self._lock = threading.Lock()

    def append(self, content: bytes) -> None:
        """Write now if the disk takes it, else later; never raises."""
        with self._lock:
            self._waiting += content
            with suppress(OSError):  # `sync` tells
                self._write()

    def sync(self) -> None:
        """Have everything on the disk, safe from a power failure; raises OSError if it does not take it."""
        with self._lock:
            self._write()
        os.fsync(self._descriptor)
        if self._unnamed is not None:
            sync([self._unnamed])
            self._unnamed = None

    def _write(self) -> None:
        while self._waiting:
            del self._waiting[: os.write(self._descriptor, self._waiting)]

    def close(self) -> None:
        os.close(self._descriptor)


class SpoolHandler(logging.Handler):
    """Log records into the spool of one run: a full disk neither stops the trial nor costs a line.

    A record with the attribute `run_id` is for that run alone.
    """

    def __init__(self, path: Path, run_id: str) -> None:
        super().__init__()
        self._run_id = run_id
        self.spool = Spool(path)
        self.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        if getattr(record, "run_id", self._run_id) == self._run_id:
            self.spool.append(f"{self.format(record)}\n".encode())

    def close(self) -> None:
        self.spool.close()
        super().close()
