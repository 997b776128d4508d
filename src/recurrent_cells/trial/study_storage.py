"""Where Optuna keeps its studies: a SQLite file beside the MLflow store."""

import shutil
import sqlite3
import tempfile
from pathlib import Path

import optuna
from optuna.storages import RDBStorage
from sqlalchemy import event

from recurrent_cells.tracking.database import uri_of
from recurrent_cells.tracking.locks import alone

STORAGE, NEW = "optuna.db", ".new-storage-"
# Seconds a process waits for another that writes.
LOCK_TIMEOUT = 60.0

optuna.logging.disable_default_handler()
optuna.logging.set_verbosity(optuna.logging.ERROR)


def make_storage(folder: Path) -> RDBStorage:
    """The storage in a folder, made whole under another name first where there is none."""
    path = folder / STORAGE
    with alone(folder, STORAGE):
        for killed in folder.glob(f"{NEW}*"):  # while it made a storage
            shutil.rmtree(killed, ignore_errors=True)
        if not path.exists():
            for leftover in folder.glob(f"{STORAGE}-*"):  # SQLite would add it to the new file
                leftover.unlink()
            with tempfile.TemporaryDirectory(dir=folder, prefix=NEW) as scratch:
                connect(Path(scratch), new=True).engine.dispose()
                connection = sqlite3.connect(Path(scratch) / STORAGE)
                connection.execute("PRAGMA journal_mode=WAL")
                connection.close()
                (Path(scratch) / STORAGE).rename(path)
    return connect(folder)


def connect(folder: Path, new: bool = False) -> RDBStorage:
    """The storage in a folder. Its connections must not be shared by a fork: dispose of its engine before one."""
    url, engine_kwargs = uri_of(folder / STORAGE), {"connect_args": {"timeout": LOCK_TIMEOUT}}
    storage = RDBStorage(url, engine_kwargs=engine_kwargs, skip_table_creation=not new)
    # A power failure may cost the last entries, which the MLflow store has too; each would wait for the disk else.
    event.listen(storage.engine, "connect", lambda connection, _: connection.execute("PRAGMA synchronous=NORMAL"))
    storage.engine.dispose()
    return storage
