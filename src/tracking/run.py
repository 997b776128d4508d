"""The life of one MLflow run: opened or continued, fed through its journal, ended with its true status."""

import getpass
import json
import logging
import shutil
import time
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlflow.entities import DatasetInput, Param, RunTag
from mlflow.exceptions import MlflowException
from mlflow.utils.mlflow_tags import (
    MLFLOW_GIT_COMMIT,
    MLFLOW_PARENT_RUN_ID,
    MLFLOW_SOURCE_NAME,
    MLFLOW_SOURCE_TYPE,
    MLFLOW_USER,
)

from src.errors import DeliveryError, Interrupted, TrialError
from src.files import write_atomically
from src.tracking.journal import Courier, Journal
from src.tracking.locks import trial_lock
from src.tracking.patience import patiently, reason
from src.tracking.provenance import git_tags, library_tags, process_tags
from src.tracking.store import Store

log = logging.getLogger(__name__)


@dataclass
class RunSpec:
    """What a run is called and says of its trial; everything is a string, as MLflow wants it."""

    name: str
    fingerprint: str
    tags: dict[str, str]
    params: dict[str, str]
    datasets: list[DatasetInput] = field(default_factory=list)
    parent: str | None = None


@dataclass
class TrialRun:
    """An open run. `folder` holds its files until it has ended, `artifacts` those to be kept in MLflow."""

    store: Store
    run_id: str
    name: str
    folder: Path
    journal: Journal
    tags: dict[str, str] = field(default_factory=dict)  # to be set when it ends

    @property
    def artifacts(self) -> Path:
        return self.folder / "artifacts"

    @property
    def state_file(self) -> Path:
        return self.folder / "state.ckpt"

    @property
    def log_file(self) -> Path:
        return self.artifacts / "train.log"


@contextmanager
def trial_run(store: Store, spec: RunSpec) -> Iterator[TrialRun]:
    """Run the body as one MLflow run whose status tells what became of it.

    A run of the same fingerprint that was killed is continued, else a new one is made. FINISHED at the end,
    FAILED with the tag `error` after an exception, KILLED after a signal.

    Raises:
        TrialBusy: if another process is training the same trial.
        DeliveryError: if the store does not take the end of the run; it is kept on disk for the next start.
    """
    with (
        trial_lock(store.folder, spec.fingerprint),
        _ended_truly(patiently(lambda: _open(store, spec), store.patience)) as run,
    ):
        yield run


@contextmanager
def _ended_truly(run: TrialRun) -> Iterator[TrialRun]:
    handler = _log_to(run.log_file)
    courier = Courier(run.journal, run.store.client, run.run_id)
    courier.start()
    outcome: dict[str, Any] = {"status": "FINISHED", "tags": {}}
    try:
        yield run
    except (Interrupted, KeyboardInterrupt) as interruption:
        outcome = {"status": "KILLED", "tags": {"error": str(interruption) or "interrupted"}}
        log.warning("interrupted: %s", outcome["tags"]["error"])
        raise
    except BaseException as error:
        message = str(error) if isinstance(error, TrialError) else f"{type(error).__name__}: {error}"
        outcome = {"status": "FAILED", "tags": {"error": message[:500]}}
        log.error("%s\n%s", message, traceback.format_exc(), extra={"only_file": True})
        raise
    finally:
        courier.stop()
        logging.getLogger().removeHandler(handler)
        handler.close()
        run.journal.close()
        outcome["tags"] |= run.tags
        outcome["end_time"] = int(time.time() * 1000)
        write_atomically(run.folder / "outcome.json", json.dumps(outcome).encode())
        deliver_patiently(run.store, run.run_id)


def _open(store: Store, spec: RunSpec) -> TrialRun:
    tags = spec.tags | git_tags() | library_tags() | process_tags() | {"fingerprint": spec.fingerprint}
    run_id = killed_run(store, spec.fingerprint)
    if run_id is not None:
        # The process first: a run that says RUNNING must name one that lives.
        store.client.log_batch(run_id, tags=[RunTag(key, value) for key, value in tags.items()])
        store.client.update_run(run_id, status="RUNNING")
        with suppress(MlflowException):
            store.client.delete_tag(run_id, "error")
    else:
        tags |= {
            MLFLOW_USER: getpass.getuser(),
            MLFLOW_SOURCE_NAME: "src.train",
            MLFLOW_SOURCE_TYPE: "LOCAL",
            MLFLOW_GIT_COMMIT: tags["git.commit"],
        }
        if spec.parent is not None:
            tags[MLFLOW_PARENT_RUN_ID] = spec.parent
        created = store.client.create_run(store.experiment_id, run_name=spec.name, tags=tags)
        run_id = str(created.info.run_id)
    folder = store.trial_folder(run_id)
    (folder / "artifacts").mkdir(parents=True, exist_ok=True)
    (folder / "outcome.json").unlink(missing_ok=True)
    params = [Param(key, value) for key, value in spec.params.items()]
    for start in range(0, len(params), 100):
        store.client.log_batch(run_id, params=params[start : start + 100])
    if spec.datasets:
        store.client.log_inputs(run_id, spec.datasets)
    return TrialRun(store, run_id, spec.name, folder, Journal(folder))


def killed_run(store: Store, fingerprint: str) -> str | None:
    """The latest killed run of a trial whose files are still here."""
    runs = store.client.search_runs(
        [store.experiment_id],
        f"tags.fingerprint = '{fingerprint}' and attributes.status = 'KILLED'",
        order_by=["attributes.start_time DESC"],
    )
    return next((run.info.run_id for run in runs if store.trial_folder(run.info.run_id).is_dir()), None)


def deliver_patiently(store: Store, run_id: str) -> None:
    try:
        patiently(lambda: deliver(store, run_id), store.patience)
    except Exception as error:
        raise DeliveryError(
            f"the tracking store does not take the end of run {run_id} ({reason(error)}).\n"
            f"It is kept in {store.trial_folder(run_id)} and delivered at the next start of anything."
        ) from None


def deliver(store: Store, run_id: str) -> None:
    """Bring an ended run to the store: metrics, artifacts, tags, and its status last. May be repeated."""
    folder = store.trial_folder(run_id)
    outcome = json.loads((folder / "outcome.json").read_text())
    journal = Journal(folder)
    try:
        journal.deliver(store.client, run_id)
    finally:
        journal.close()
    store.client.log_artifacts(run_id, str(folder / "artifacts"))
    tags = [RunTag(key, value) for key, value in outcome["tags"].items()]
    store.client.log_batch(run_id, tags=tags)
    store.client.set_terminated(run_id, status=outcome["status"], end_time=outcome["end_time"])
    if outcome["status"] != "KILLED":
        shutil.rmtree(folder)


def flat(config: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """A nested config as dotted keys and strings, for MLflow's params."""
    params: dict[str, str] = {}
    for key, value in config.items():
        if isinstance(value, Mapping):
            params |= flat(value, f"{prefix}{key}.")
        else:
            params[f"{prefix}{key}"] = str(value)
    return params


def _log_to(path: Path) -> logging.Handler:
    handler = logging.FileHandler(path, mode="a", encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logging.getLogger().addHandler(handler)
    logging.getLogger("src").setLevel(logging.INFO)
    return handler
