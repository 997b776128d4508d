"""The MLflow store: where it is, made ready before anything starts, checked to answer."""

import atexit
import hashlib
import http.client
import logging
import os
import shutil
import sqlite3
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import cached_property, partial
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from recurrent_cells.errors import UserError, first_line
from recurrent_cells.files import make_folder
from recurrent_cells.imports import uncollected
from recurrent_cells.interrupts import die_with
from recurrent_cells.paths import TRACKING
from recurrent_cells.tracking import database
from recurrent_cells.tracking.views import view_tags

if TYPE_CHECKING:
    from mlflow import MlflowClient

KIND = {"mlflow.experimentKind": "custom_model_development"}  # opens in the UI on training runs, not on chats
# Seconds a server has to say that it is there.
SERVER_TIMEOUT = 10.0
LONGEST_NAME = 255
# Bytes that must be free where trials are kept: room for their first files.
ROOM = 1 << 18


def quiet_mlflow() -> None:
    """No telemetry thread (forking wants none), no banners, short retries: our journal does the waiting."""
    for name, value in {
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
        "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "0",
        "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
        "MLFLOW_LOGGING_LEVEL": "WARNING",
        "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
        "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
        "GIT_PYTHON_REFRESH": "quiet",
    }.items():
        os.environ.setdefault(name, value)
    for logger in ("mlflow", "alembic"):
        logging.getLogger(logger).setLevel(logging.WARNING)
    # It logs a traceback for each failed attempt; the message at the end is ours.
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)


def tracking_uri() -> str:
    """`MLFLOW_TRACKING_URI` if set, else SQLite in the repository's `mlruns`."""
    return os.environ.get("MLFLOW_TRACKING_URI") or database.uri_of(TRACKING / "mlflow.db")


@dataclass
class Store:
    """An MLflow store that answered, one of its experiments, and the local folder for trials under way.

    Args:
        patience: how many seconds to wait for it when it fails later.
        original: where it lies, if `uri` is of a copy because it cannot be written.
    """

    uri: str
    experiment: str
    experiment_id: str
    folder: Path
    patience: float
    original: Path | None = None

    @cached_property
    def client(self) -> "MlflowClient":
        with uncollected():
            from mlflow import MlflowClient

            client = MlflowClient(tracking_uri=self.uri)  # imports SQLAlchemy if it needs it
        if self.is_file:
            _sync_commits(client)
        return client

    @property
    def address(self) -> str:
        """Its URI as it may be shown."""
        if self.is_file:
            return f"{database.SQLITE}{self.original or database.path_of(self.uri)}"
        return _without_password(self.uri)

    @property
    def is_file(self) -> bool:
        """Whether only processes on this machine can use it."""
        return self.uri.startswith("sqlite")

    def trial_folder(self, run_id: str) -> Path:
        return self.folder / "trials" / run_id

    def everywhere(self) -> list["Store"]:
        """The store at each of its experiments."""
        found = self.client.search_experiments()
        return [replace(self, experiment=it.name, experiment_id=it.experiment_id) for it in found]

    def disconnect(self) -> None:
        """Close connections that a fork must not share."""
        from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

        store = self.client._tracking_client.store
        if isinstance(store, SqlAlchemyStore):
            store.engine.dispose()


def open_store(
    experiment: str,
    patience: float = 60.0,
    *,
    reading: bool = False,
    existing: bool = False,
    address: str | None = None,
) -> Store:
    """Make the store usable, whatever is missing: folders, tables, the experiment.

    Args:
        reading: nothing will be written: where nothing can be, a copy of the database stands for it.
        existing: the command is of no use where there are no runs; `reading` says so too.
        address: of another store than that of this process.

    Raises:
        UserError: if the URI is of no use, a folder cannot be written, the server does not answer, or there should be
            a store and is none.
    """
    quiet_mlflow()
    if len(experiment) > LONGEST_NAME:
        raise UserError(
            f"tracking.experiment={experiment[:20]}…: a name of {len(experiment)} characters, "
            f"and {LONGEST_NAME} are allowed"
        )
    uri, original = address or tracking_uri(), None
    if uri.startswith(("sqlite:", "sqlite+")):
        path = database_path(uri)
        folder = path.parent
        if (reading or existing) and not path.exists():
            raise UserError(f"{uri}: there are no runs yet; train some, or have MLFLOW_TRACKING_URI say where they are")
        if reading and not database.is_writable(path):
            original, path = path, database.copy_to_read(path, _scratch())
        else:
            _prepare_folder(folder)
            database.prepare(path)
        uri = database.uri_of(path)
        artifacts: str | None = (folder / database.ARTIFACTS).as_uri()
    elif uri.startswith(("http://", "https://")):
        uri = _move_credentials(uri)
        _check_server(uri)
        folder = _server_folder(uri)
        artifacts = None
    else:
        _check_database(uri)
        folder = _server_folder(uri)
        artifacts = (folder / database.ARTIFACTS).as_uri()
    return Store(uri, experiment, _experiment_id(uri, experiment, artifacts), folder, patience, original)


def open_existing(experiment: str) -> Store | None:
    """The store for reading, None where there is none yet, as `open_store` opens it otherwise."""
    uri = tracking_uri()
    if uri.startswith(("sqlite:", "sqlite+")) and not database_path(uri).exists():
        return None
    return open_store(experiment, reading=True)


@contextmanager
def tables_made_beside() -> Iterator[None]:
    """While the body imports and checks, have another process make the tables of a local store that is missing.

    `open_store` waits for them and copies them, or makes its own where this failed; a command that is refused leaves
    no store, and waits for nothing.

    Raises:
        UserError: if the URI names no file that can be used.
    """
    uri = tracking_uri()
    is_missing = uri.startswith(("sqlite:", "sqlite+")) and not database_path(uri).exists()
    maker = None
    if is_missing and database.await_tables is None:
        with suppress(OSError):  # no room, or too many processes
            path = Path(tempfile.mkdtemp()) / "mlflow.db"
            maker = get_context("fork").Process(target=_make_tables, args=(path, os.getpid()))
            maker.start()
            database.await_tables = partial(_finished, maker, path, os.getpid())
    try:
        yield
    finally:
        if maker is not None and maker.pid is not None:
            database.await_tables = None
            maker.kill()
            maker.join()


def _finished(maker: BaseProcess, path: Path, parent: int) -> Path | None:
    """The file that a process makes; None if it could not, or is no child of this process."""
    if os.getpid() != parent:
        return None
    maker.join()
    return path if maker.exitcode == 0 else None


def _make_tables(path: Path, parent: int) -> None:
    die_with(parent)
    quiet_mlflow()
    with suppress(Exception, KeyboardInterrupt):
        database.make_tables(path)
        os._exit(0)
    os._exit(1)


def database_path(uri: str) -> Path:
    """The file of a local store; raises UserError if the URI names none that can be used."""
    try:
        path = database.path_of(uri)
        database.uri_of(path)
    except ValueError as error:
        raise _unusable(uri, str(error)) from None
    return path


def _scratch() -> Path:
    """A folder that goes with this process."""
    folder = tempfile.mkdtemp(prefix="recurrent-cells-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


def _sync_commits(client: "MlflowClient") -> None:
    """Have each commit on the disk before the next step; some builds of SQLite leave that to the system."""
    from sqlalchemy import event

    engine = client._tracking_client.store.engine
    if not event.contains(engine, "connect", _set_synchronous):
        event.listen(engine, "connect", _set_synchronous)
        engine.dispose()  # connections opened before


def _set_synchronous(connection: sqlite3.Connection, _: object) -> None:
    connection.execute("PRAGMA synchronous=FULL")


def _unusable(uri: str, reason: str) -> UserError:
    shown = _without_password(uri)
    return UserError(
        f"MLFLOW_TRACKING_URI={shown if len(shown) < 200 else f'{shown[:100]}…'}: {reason};\n"
        f"allowed are sqlite:////PATH/mlflow.db, http://HOST:PORT, another database, or nothing (then mlruns/)"
    )


def _server_folder(uri: str) -> Path:
    folder = TRACKING / "servers" / hashlib.sha256(uri.encode()).hexdigest()[:12]
    _prepare_folder(folder)
    return folder


def _prepare_folder(folder: Path) -> None:
    try:
        make_folder(folder / "trials")
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"\0" * ROOM)
    except OSError as error:
        raise UserError(
            f"{folder}: cannot be written ({error.strerror}); "
            f"make it writable, or set MLFLOW_TRACKING_URI=sqlite:////PATH/mlflow.db to another folder"
        ) from None


def _move_credentials(uri: str) -> str:
    """A server's URI without name and password, which move to where MLflow looks and no error message does."""
    try:
        parts = urlsplit(uri)
    except ValueError:
        raise _unusable(uri, "it is no address") from None
    if not parts.username:
        return uri
    for name, value in (("USERNAME", parts.username), ("PASSWORD", parts.password)):
        if not os.environ.get(f"MLFLOW_TRACKING_{name}"):
            os.environ[f"MLFLOW_TRACKING_{name}"] = unquote(value or "")
    os.environ["MLFLOW_TRACKING_URI"] = _without_password(uri)
    return _without_password(uri)


def _check_server(uri: str) -> None:
    try:
        with urllib.request.urlopen(f"{uri.rstrip('/')}/health", timeout=SERVER_TIMEOUT):
            pass
    except urllib.error.HTTPError:
        pass  # it answers; whether it lets us in shows with the first request
    except (OSError, ValueError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", error)
        raise UserError(
            f"MLFLOW_TRACKING_URI={_without_password(uri)}: the server does not answer ({reason}); "
            f"start it, or unset MLFLOW_TRACKING_URI to use mlruns/"
        ) from None


def _check_database(uri: str) -> None:
    """One attempt to connect, where MLflow would make ten."""
    if "://" not in uri or uri.startswith("file:"):
        raise _unusable(uri, "MLflow keeps no runs in folders any more")
    import sqlalchemy

    try:
        sqlalchemy.create_engine(uri).connect().close()
    except Exception as error:  # whatever the driver raises, or ImportError if there is none
        raise _unusable(uri, f"no such database, or it does not answer ({first_line(error)})") from None


def _without_password(uri: str) -> str:
    if uri.startswith("sqlite"):  # an @ is one of the path
        return uri
    scheme, separator, rest = uri.partition("://")
    return f"{scheme}{separator}{rest.rpartition('@')[2]}"


def _experiment_id(uri: str, name: str, artifacts: str | None) -> str:
    tags = KIND | view_tags()
    if uri.startswith(database.SQLITE) and (known := database.known_experiment(database.path_of(uri), name, tags)):
        return known
    from mlflow import MlflowClient
    from mlflow.entities import LifecycleStage
    from mlflow.exceptions import MlflowException

    client = MlflowClient(tracking_uri=uri)
    try:
        found = client.get_experiment_by_name(name)
        if found is None:
            try:
                created = str(client.create_experiment(name, artifact_location=artifacts, tags=tags))
                found = client.get_experiment(created)
            except MlflowException:
                found = client.get_experiment_by_name(name)  # another process was first
                if found is None:
                    raise
    except Exception as error:  # a server that is no MLflow can make anything of a request
        if "error code 401" in str(error):
            raise UserError(
                f"MLFLOW_TRACKING_URI={_without_password(uri)}: the server wants another name or password; "
                "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN"
            ) from None
        raise _unusable(uri, f"the store refuses ({first_line(error)})") from None
    if not found.experiment_id or found.name != name:
        raise _unusable(uri, "what answers there is no MLflow")
    if found.lifecycle_stage == LifecycleStage.DELETED:
        raise UserError(f"tracking.experiment={name}: it is deleted; restore it or choose another name")
    for key in tags.keys() - found.tags.keys():
        client.set_experiment_tag(found.experiment_id, key, tags[key])
    return str(found.experiment_id)
