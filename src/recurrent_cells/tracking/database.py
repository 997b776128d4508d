"""The SQLite file of a local store: named, made, checked, copied, and followed to where it was moved.

MLflow and SQLAlchemy, which take seconds to import, are asked only for what this cannot tell by itself.
"""

import os
import re
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Collection, Iterator
from contextlib import closing, contextmanager
from functools import lru_cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

from recurrent_cells.errors import UserError
from recurrent_cells.files import sync
from recurrent_cells.paths import command, kind, of_user
from recurrent_cells.tracking.locks import alone
from recurrent_cells.tracking.manifest import local_folder

SQLITE = "sqlite:///"
# Bytes of a file's path: SQLite takes 504 of them, and a new store has a folder of its own for a while.
LONGEST_PATH = 480
# Seconds a database may be locked by others.
LOCK_TIMEOUT = 20.0
# Bytes of a file that is read through whenever it is opened, which takes 5 ms a megabyte.
READ_THROUGH = 1 << 23
NEW = ".new-store-"
# Where MLflow keeps addresses of artifacts.
ADDRESSES = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)
ARTIFACTS = "artifacts"
# Waits for a file with MLflow's tables and no runs, to be copied where a store is missing; gives None if none was made.
await_tables: Callable[[], Path | None] | None = None
# A path that stands in a URI as it is.
PLAIN = re.compile(r"/[\w./-]+", re.ASCII)
# A migration of MLflow's schema: what it makes, and of what.
MIGRATION = re.compile(r'^revision = "(?P<made>\w+)"\ndown_revision = (?:"(?P<before>\w+)"|None)$', re.M)


class OtherSchema(UserError):
    """A store that an older MLflow wrote."""


def path_of(uri: str) -> Path:
    """The file that a URI names, read as SQLAlchemy does: `%20` is a space.

    Raises:
        ValueError: with the reason if it names none that can be used.
    """
    written = uri.removeprefix(SQLITE) if PLAIN.fullmatch(uri.removeprefix(SQLITE)) else _path_in(uri)
    name = os.fsencode(written)
    if len(name) > LONGEST_PATH:
        raise ValueError(f"its path has {len(name)} bytes, and {LONGEST_PATH} are allowed")
    path = of_user(written).resolve()
    if not name or name == b":memory:" or kind(path) not in (None, "file"):
        raise ValueError("it names no file")
    if len(os.fsencode(path)) > LONGEST_PATH:
        raise ValueError(f"its path has {len(os.fsencode(path))} bytes, and {LONGEST_PATH} are allowed")
    return path


def _path_in(uri: str) -> str:
    """The path in a URI, as SQLAlchemy reads it; raises as `path_of`."""
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        url = make_url(uri)
        (url.database or "").encode()
    except (ArgumentError, UnicodeError):
        raise ValueError("it names no file") from None
    if url.query or "?" in uri:
        raise ValueError("a path with a question mark cannot be used, for it ends there")
    return url.database or ""


def uri_of(path: Path) -> str:
    """The URI by which MLflow opens a file.

    Raises:
        ValueError: with the reason if there is none.
    """
    plain = f"{SQLITE}{path}"
    if PLAIN.fullmatch(str(path)):
        return plain
    from sqlalchemy.engine import make_url

    # Of a URI that begins as the plain one MLflow makes the folders, taking what is quoted as it stands.
    quoted = f"sqlite+pysqlite:///{quote(str(path))}"
    found = next((uri for uri in (plain, quoted) if make_url(uri).database == str(path)), None)
    if found is None:
        raise ValueError("its path has characters that cannot be used")
    return found


def is_writable(path: Path) -> bool:
    return os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)


def prepare(path: Path) -> None:
    """Have a store in a file: made where there is none, checked, its addresses those of the place where it lies.

    Raises:
        UserError: if it is of no use, or cannot be written.
    """
    if not path.exists() or path.stat().st_size == 0:
        _make(path)
    _clear_leftovers(path.parent)
    check(path)
    with named(path), _connected(path) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("BEGIN IMMEDIATE")  # fails where nothing can be written
        _follow(connection, path.parent)
        connection.execute("COMMIT")


def copy(path: Path, target: Path) -> None:
    """Copy a database that others may be writing, or that cannot be written.

    Raises:
        sqlite3.Error: if it cannot be read.
    """
    with closing(_reader(path)) as source, closing(sqlite3.connect(target)) as copied:
        source.backup(copied)


def copy_to_read(path: Path, folder: Path) -> Path:
    """A copy in another folder of a store that cannot be written, with addresses of the place where that lies."""
    check(path)
    target = folder / path.name
    with named(path):
        copy(path, target)
    with _connected(target) as connection:
        _follow(connection, path.parent)
    return target


def check(path: Path) -> None:
    """Read a database far enough to know that MLflow can use it.

    Raises:
        OtherSchema: if an older MLflow wrote it.
        UserError: if it is damaged, or none of this MLflow.
    """
    with named(path), closing(_reader(path)) as connection:
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if not tables:
            raise UserError(f"{path}: a database without tables; remove it, and the next start makes a new one")
        if "alembic_version" not in tables or "experiments" not in tables:
            raise UserError(f"{path}: a database of something else; set MLFLOW_TRACKING_URI to another file")
        (found,) = connection.execute("SELECT version_num FROM alembic_version").fetchone() or ("none",)
        if path.stat().st_size <= READ_THROUGH and (fault := fault_in(connection)):
            raise sqlite3.DatabaseError(fault)
    latest, known = _schemas()
    if found in known - {latest}:
        raise OtherSchema(f"{path}: an older MLflow wrote it; {command('doctor')} keeps a copy of it and upgrades it")
    if found != latest:
        raise UserError(
            f"{path}: another MLflow than {version('mlflow')} wrote it (schema {found}); "
            "install that version or a later one, or set MLFLOW_TRACKING_URI to another store"
        )


def fault_in(connection: sqlite3.Connection) -> str:
    """The first fault that reading a whole database finds; empty if there is none."""
    (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    return "" if found == "ok" else " ".join(found.split())


@lru_cache(maxsize=1)
def _schemas() -> tuple[str, frozenset[str]]:
    """The schema of this MLflow, and all that it knows: of its migrations the one that no other follows, and all."""
    mlflow = find_spec("mlflow")
    assert mlflow is not None
    assert mlflow.origin is not None
    migrations = (Path(mlflow.origin).parent / "store/db_migrations/versions").glob("*.py")
    written = [MIGRATION.search(path.read_text()) for path in migrations]
    follows = {found["made"]: found["before"] for found in written if found is not None}
    (latest,) = follows.keys() - set(follows.values())
    return latest, frozenset(follows)


def known_experiment(path: Path, name: str, tags: Collection[str]) -> str | None:
    """The id of an experiment that is not deleted and has such tags; None if there is none, or MLflow must be asked."""
    with named(path), closing(_reader(path)) as connection:
        of_name = "SELECT experiment_id FROM experiments WHERE name = ? AND lifecycle_stage = 'active'"
        found = connection.execute(of_name, (name,)).fetchall()
        if len(found) != 1:
            return None
        of_experiment = "SELECT key FROM experiment_tags WHERE experiment_id = ?"
        known = {key for (key,) in connection.execute(of_experiment, found[0])}
    return str(found[0][0]) if known >= set(tags) else None


def _make(path: Path) -> None:
    """Create the tables under another name first: a kill or a second process never meets half a store."""
    with alone(path.parent, "new-store"), tempfile.TemporaryDirectory(dir=path.parent, prefix=NEW) as scratch:
        if path.exists() and path.stat().st_size > 0:
            return
        fresh = Path(scratch) / "mlflow.db"
        try:
            tables = None if await_tables is None else await_tables()
            if tables is not None and tables.exists():
                shutil.copyfile(tables, fresh)
                sync([fresh])
            else:
                make_tables(fresh)
            path.unlink(missing_ok=True)  # an empty file
            os.link(fresh, path)  # unlike a rename, never replaces a store another program has just made
            sync([path.parent])
        except FileExistsError:
            pass
        except OSError as error:
            raise UserError(f"{path}: cannot be created ({error.strerror})") from None


def make_tables(path: Path) -> None:
    """Make a file with MLflow's tables and no runs."""
    from mlflow import MlflowClient

    MlflowClient(tracking_uri=uri_of(path)).search_experiments()


def _clear_leftovers(folder: Path) -> None:
    """Remove what processes left that were killed while they made a store; those that live hold the lock."""
    if any(folder.glob(f"{NEW}*")):
        with alone(folder, "new-store"):
            for leftover in folder.glob(f"{NEW}*"):
                shutil.rmtree(leftover, ignore_errors=True)


def _follow(connection: sqlite3.Connection, folder: Path) -> None:
    """Have addresses begin with the folder where the store lies that began with the one it was moved from."""
    here = f"{(folder / ARTIFACTS).as_uri()}"
    found = connection.execute(
        "SELECT DISTINCT artifact_location FROM experiments WHERE artifact_location LIKE 'file://%/artifacts'"
    )
    for (before,) in found.fetchall():
        if before == here or not _was_moved(connection, before, folder):
            continue
        end = len(before) + 1
        for table, column in ADDRESSES:
            connection.execute(
                f"UPDATE {table} SET {column} = ? || substr({column}, ?) WHERE substr({column} || '/', 1, ?) = ?",
                (here, end, end, f"{before}/"),
            )


def _was_moved(connection: sqlite3.Connection, before: str, folder: Path) -> bool:
    """Whether an experiment's artifacts are here now; they may lie elsewhere because someone wants them there."""
    runs = connection.execute(
        "SELECT run_uuid FROM runs JOIN experiments USING (experiment_id) WHERE artifact_location = ?", (before,)
    )
    present = {path.name for path in (folder / ARTIFACTS).glob("*")}
    old = local_folder(before)
    return any(run_id in present for (run_id,) in runs) or (old is not None and not old.parent.exists())


def _reader(path: Path) -> sqlite3.Connection:
    """A connection that writes nothing, not even the files beside the database that SQLite shares with writers."""
    connection = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=LOCK_TIMEOUT, isolation_level=None)
    try:
        connection.execute("SELECT count(*) FROM sqlite_master")
    except sqlite3.OperationalError as error:
        connection.close()
        if "locked" in str(error) or os.access(path.parent, os.W_OK):
            raise
        connection = sqlite3.connect(f"{path.as_uri()}?immutable=1", uri=True, isolation_level=None)
    return connection


@contextmanager
def _connected(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(path, timeout=LOCK_TIMEOUT, isolation_level=None)) as connection:
        yield connection


@contextmanager
def named(path: Path) -> Iterator[None]:
    """Say of SQLite's errors which file they are about and what can be done."""
    try:
        yield
    except sqlite3.Error as error:
        advice = f"move it away, or set MLFLOW_TRACKING_URI to another; {command('doctor')} says what is left of it"
        if "locked" in str(error):
            advice = f"another process has held it for {LOCK_TIMEOUT:g} s, try again when it is done"
        elif "readonly" in str(error):
            advice = "make it writable; reports and the UI need not write"
        raise UserError(f"{path}: not a usable MLflow store ({error}); {advice}") from None
