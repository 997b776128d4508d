"""Where Optuna keeps its studies: a SQLite file beside the MLflow store."""

import os
import sqlite3
import tempfile
from contextlib import suppress
from pathlib import Path

import optuna
from optuna.storages import RDBStorage
from sqlalchemy.pool import NullPool

STORAGE = "optuna.db"
# Seconds a process waits for another that writes.
LOCK_TIMEOUT = 60.0

optuna.logging.disable_default_handler()
optuna.logging.set_verbosity(optuna.logging.ERROR)


def make_storage(folder: Path) -> RDBStorage:
    """The storage in a folder, made whole under another name first where there is none."""
    path = folder / STORAGE
    if not path.exists():
        with tempfile.TemporaryDirectory(dir=folder, prefix=".new-storage-") as scratch:
            fresh = Path(scratch) / STORAGE
            connect(Path(scratch), new=True)
            connection = sqlite3.connect(fresh)
            connection.execute("PRAGMA journal_mode=WAL")
            connection.close()
            with suppress(FileExistsError):  # another process was first
                os.link(fresh, path)
    return connect(folder)


def connect(folder: Path, new: bool = False) -> RDBStorage:
    """The storage in a folder; it holds no connection open between calls, so that processes may fork."""
    return RDBStorage(
        f"sqlite:///{folder / STORAGE}",
        engine_kwargs={"poolclass": NullPool, "connect_args": {"timeout": LOCK_TIMEOUT}},
        skip_table_creation=not new,
    )
