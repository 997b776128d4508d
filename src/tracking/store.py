"""The MLflow store: where it is, made ready before anything starts, checked to answer."""

import hashlib
import logging
import os
import sqlite3
import tempfile
import urllib.error
import urllib.request
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from src.errors import UserError
from src.paths import TRACKING

if TYPE_CHECKING:
    from mlflow import MlflowClient

SQLITE = "sqlite:///"


def quiet_mlflow() -> None:
    """No telemetry thread (forking wants none), no banners, and short retries: our journal does the waiting."""
    for name, value in {
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
        "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "0",
        "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
        "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
        "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
        "GIT_PYTHON_REFRESH": "quiet",
    }.items():
        os.environ.setdefault(name, value)
    for logger in ("mlflow", "alembic"):
        logging.getLogger(logger).setLevel(logging.WARNING)


def tracking_uri() -> str:
    """`MLFLOW_TRACKING_URI` if set, else SQLite in the repository's `mlruns`."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"{SQLITE}{TRACKING / 'mlflow.db'}"


@dataclass
class Store:
    """An MLflow store that answered, one of its experiments, and the local folder for trials under way."""

    uri: str
    experiment: str
    experiment_id: str
    folder: Path

    @cached_property
    def client(self) -> "MlflowClient":
        from mlflow import MlflowClient

        return MlflowClient(tracking_uri=self.uri)

    def trial_folder(self, run_id: str) -> Path:
        return self.folder / "trials" / run_id

    def disconnect(self) -> None:
        """Close connections that a fork must not share."""
        from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

        store = self.client._tracking_client.store
        if isinstance(store, SqlAlchemyStore):
            store.engine.dispose()


def open_store(experiment: str) -> Store:
    """Make the store usable, whatever is missing: folders, tables, the experiment.

    Raises:
        UserError: if a folder cannot be written or the server does not answer.
    """
    quiet_mlflow()
    uri = tracking_uri()
    path = _sqlite_path(uri)
    if path is not None:
        uri = f"{SQLITE}{path}"
        folder = path.parent
        _prepare_folder(folder)
        _prepare_sqlite(path)
        artifacts: str | None = (folder / "artifacts").as_uri()
    elif uri.startswith(("http://", "https://")):
        folder = TRACKING / "servers" / hashlib.sha256(uri.encode()).hexdigest()[:12]
        _prepare_folder(folder)
        _check_server(uri)
        artifacts = None
    elif "://" in uri and not uri.startswith("file:"):
        folder = TRACKING / "servers" / hashlib.sha256(uri.encode()).hexdigest()[:12]
        _prepare_folder(folder)
        artifacts = (folder / "artifacts").as_uri()
    else:
        raise UserError(
            f"MLFLOW_TRACKING_URI={uri}: MLflow no longer writes to folders; "
            f"allowed are sqlite:////PATH/mlflow.db, http://HOST:PORT and other databases"
        )
    return Store(uri, experiment, _experiment_id(uri, experiment, artifacts), folder)


def _sqlite_path(uri: str) -> Path | None:
    if not uri.startswith(SQLITE):
        return None
    return Path(uri.removeprefix(SQLITE)).expanduser().resolve()


def _prepare_folder(folder: Path) -> None:
    try:
        (folder / "trials").mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise UserError(
            f"{folder}: cannot be written ({error.strerror}); make it writable or set MLFLOW_TRACKING_URI elsewhere"
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
            except FileExistsError:
                pass
            except OSError as error:
                raise UserError(f"{path}: cannot be created ({error.strerror})") from None
    try:
        with sqlite3.connect(path, timeout=60) as connection:
            connection.execute("PRAGMA journal_mode=WAL")
        connection.close()
    except sqlite3.Error as error:
        raise UserError(f"{path}: not a usable MLflow store ({error}); move it away or set MLFLOW_TRACKING_URI") from None


def _check_server(uri: str) -> None:
    try:
        with urllib.request.urlopen(f"{uri.rstrip('/')}/health", timeout=10):
            pass
    except urllib.error.HTTPError:
        pass  # it answers; whether it lets us in shows with the first request
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise UserError(f"MLFLOW_TRACKING_URI={_without_password(uri)}: the server does not answer ({reason})") from None


def _without_password(uri: str) -> str:
    scheme, _, rest = uri.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}"


def _experiment_id(uri: str, name: str, artifacts: str | None) -> str:
    from mlflow import MlflowClient
    from mlflow.entities import LifecycleStage
    from mlflow.exceptions import MlflowException

    client = MlflowClient(tracking_uri=uri)
    try:
        found = client.get_experiment_by_name(name)
        if found is None:
            try:
                return str(client.create_experiment(name, artifact_location=artifacts))
            except MlflowException:
                found = client.get_experiment_by_name(name)  # another process was first
                if found is None:
                    raise
    except MlflowException as error:
        reason = str(error).splitlines()[0][:200]
        raise UserError(f"MLFLOW_TRACKING_URI={_without_password(uri)}: the store refuses ({reason})") from None
    if found.lifecycle_stage == LifecycleStage.DELETED:
        raise UserError(f"tracking.experiment={name}: this experiment is deleted; restore it or choose another name")
    return str(found.experiment_id)
