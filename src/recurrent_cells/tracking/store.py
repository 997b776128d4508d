"""The MLflow store: where it is, made ready before anything starts, checked to answer."""

import hashlib
import http.client
import logging
import os
import sqlite3
import tempfile
import urllib.error
import urllib.request
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from recurrent_cells.errors import UserError
from recurrent_cells.files import make_folder, sync
from recurrent_cells.paths import TRACKING
from recurrent_cells.tracking.views import view_tags

if TYPE_CHECKING:
    from mlflow import MlflowClient

SQLITE = "sqlite:///"
KIND = {"mlflow.experimentKind": "custom_model_development"}  # opens in the UI on training runs, not on chats
# Seconds a server has to say that it is there.
SERVER_TIMEOUT = 10.0
# Seconds a database may be locked by others.
LOCK_TIMEOUT = 20.0
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
    return os.environ.get("MLFLOW_TRACKING_URI") or f"{SQLITE}{TRACKING / 'mlflow.db'}"


@dataclass
class Store:
    """An MLflow store that answered, one of its experiments, and the local folder for trials under way.

    `patience` is how many seconds to wait for it when it fails later.
    """

    uri: str
    experiment: str
    experiment_id: str
    folder: Path
    patience: float

    @cached_property
    def client(self) -> "MlflowClient":
        from mlflow import MlflowClient

        client = MlflowClient(tracking_uri=self.uri)
        if self.is_file:
            _sync_commits(client)
        return client

    @property
    def address(self) -> str:
        """Its URI as it may be shown."""
        return _without_password(self.uri)

    @property
    def is_file(self) -> bool:
        """Whether only processes on this machine can use it."""
        return self.uri.startswith(SQLITE)

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


def open_store(experiment: str, patience: float = 60.0) -> Store:
    """Make the store usable, whatever is missing: folders, tables, the experiment.

    Raises:
        UserError: if the URI is of no use, a folder cannot be written or the server does not answer.
    """
    quiet_mlflow()
    uri = tracking_uri()
    if uri.startswith("sqlite:"):
        path = _sqlite_path(uri)
        uri = f"{SQLITE}{path}"
        folder = path.parent
        _prepare_folder(folder)
        _prepare_sqlite(path)
        artifacts: str | None = (folder / "artifacts").as_uri()
    elif uri.startswith(("http://", "https://")):
        uri = _move_credentials(uri)
        _check_server(uri)
        folder = _server_folder(uri)
        artifacts = None
    else:
        _check_database(uri)
        folder = _server_folder(uri)
        artifacts = (folder / "artifacts").as_uri()
    return Store(uri, experiment, _experiment_id(uri, experiment, artifacts), folder, patience)


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
    return UserError(
        f"MLFLOW_TRACKING_URI={_without_password(uri)}: {reason};\n"
        f"allowed are sqlite:////PATH/mlflow.db, http://HOST:PORT, another database, or nothing (then mlruns/)"
    )


def _sqlite_path(uri: str) -> Path:
    path = Path(uri.removeprefix(SQLITE)).expanduser().resolve()
    if not uri.startswith(SQLITE) or path.is_dir():
        raise _unusable(uri, "it names no file")
    return path


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


def _prepare_sqlite(path: Path) -> None:
    """Create the tables under another name first: a kill or a second process never meets half a store."""
    if not path.exists():
        from mlflow import MlflowClient

        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".new-store-") as scratch:
            fresh = Path(scratch) / "mlflow.db"
            MlflowClient(tracking_uri=f"{SQLITE}{fresh}").search_experiments()
            try:
                os.link(fresh, path)  # unlike a rename, never replaces a store another process has just made
                sync([path.parent])
            except FileExistsError:
                pass
            except OSError as error:
                raise UserError(f"{path}: cannot be created ({error.strerror})") from None
    try:
        connection = sqlite3.connect(path, timeout=LOCK_TIMEOUT, isolation_level=None)
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("BEGIN IMMEDIATE")  # fails where nothing can be written
        finally:
            connection.close()
    except sqlite3.Error as error:
        advice = "move it away, or set MLFLOW_TRACKING_URI to another"
        if "locked" in str(error):
            advice = f"another process has held it for {LOCK_TIMEOUT:g} s, try again when it is done"
        raise UserError(f"{path}: not a usable MLflow store ({error}); {advice}") from None


def _move_credentials(uri: str) -> str:
    """A server's URI without name and password, which move to where MLflow looks and no error message does."""
    parts = urlsplit(uri)
    if not parts.username:
        return uri
    for name, value in (("USERNAME", parts.username), ("PASSWORD", parts.password)):
        if not os.environ.get(f"MLFLOW_TRACKING_{name}"):
            os.environ[f"MLFLOW_TRACKING_{name}"] = unquote(value or "")
    os.environ["MLFLOW_TRACKING_URI"] = _without_password(uri)
    return _without_password(uri)


def _check_server(uri: str) -> None:
    try:
        with urllib.request.urlopen(f"{_without_password(uri).rstrip('/')}/health", timeout=SERVER_TIMEOUT):
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
        raise _unusable(uri, f"no such database, or it does not answer ({_reason(error)})") from None


def _reason(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]


def _without_password(uri: str) -> str:
    scheme, separator, rest = uri.partition("://")
    return f"{scheme}{separator}{rest.rpartition('@')[2]}"


def _experiment_id(uri: str, name: str, artifacts: str | None) -> str:
    from mlflow import MlflowClient
    from mlflow.entities import LifecycleStage
    from mlflow.exceptions import MlflowException

    client = MlflowClient(tracking_uri=uri)
    tags = KIND | view_tags()
    try:
        found = client.get_experiment_by_name(name)
        if found is None:
            try:
                return str(client.create_experiment(name, artifact_location=artifacts, tags=tags))
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
        raise _unusable(uri, f"the store refuses ({_reason(error)})") from None
    if found.lifecycle_stage == LifecycleStage.DELETED:
        raise UserError(f"tracking.experiment={name}: it is deleted; restore it or choose another name")
    for key in tags.keys() - found.tags.keys():
        client.set_experiment_tag(found.experiment_id, key, tags[key])
    return str(found.experiment_id)
