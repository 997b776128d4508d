"""The life of one MLflow run: opened or continued, fed through its journal, ended with its true status."""

import json
import logging
import shutil
import socket
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from mlflow.entities import Dataset, DatasetInput, InputTag, Param, Run
from mlflow.utils.mlflow_tags import MLFLOW_DATASET_CONTEXT, MLFLOW_GIT_COMMIT, MLFLOW_PARENT_RUN_ID

from recurrent_cells.errors import DeliveryError, Interrupted, TrialBusy, TrialError
from recurrent_cells.files import write_atomically
from recurrent_cells.tracking.journal import Courier, Journal
from recurrent_cells.tracking.locks import trial_lock
from recurrent_cells.tracking.names import Artifact, Tag
from recurrent_cells.tracking.patience import STORE_FAILURES, patiently, reason
from recurrent_cells.tracking.provenance import cause_of_death, git_tags, is_this_process, library_tags, process_tags
from recurrent_cells.tracking.spool import Spool, SpoolHandler
from recurrent_cells.tracking.status import set_ended, set_running, source_tags
from recurrent_cells.tracking.store import Store

T = TypeVar("T")

OUTCOME = "outcome.json"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class DatasetInfo:
    """The sequences of one split, `context` being train, val or test; `profile` has their numbers."""

    name: str
    context: str
    digest: str
    profile: Mapping[str, int]


@dataclass
class RunSpec:
    """The name of a trial's run and what MLflow shows of the trial; tags and params are strings, as MLflow wants them.

    A run of the trial that was FINISHED at `since` (milliseconds) or later makes another needless; null: none does.
    """

    name: str
    fingerprint: str
    tags: dict[str, str]
    params: dict[str, str]
    datasets: list[DatasetInfo] = field(default_factory=list)
    parent: str | None = None
    since: int | None = None


@dataclass
class TrialRun:
    """An open run. `folder` holds its files until the run has ended, `artifacts` those to be kept in MLflow.

    `tags` are set when the run ends.
    """

    store: Store
    run_id: str
    name: str
    folder: Path
    journal: Journal
    parent: str | None = None
    tags: dict[str, str] = field(default_factory=dict)
    _no_checkpoints: bool = False

    @property
    def artifacts(self) -> Path:
        return self.folder / "artifacts"

    @property
    def state_file(self) -> Path:
        return self.folder / "state.ckpt"

    @property
    def log_file(self) -> Path:
        return self.artifacts / Artifact.LOG

    def checkpoint(self, save: Callable[[Path], None]) -> None:
        """Save the trial's state; if the disk does not take it, the last one stays and training goes on."""
        try:
            self.journal.sync()  # a state must not know of points that are not on disk
            save(self.state_file)
            self._no_checkpoints = False
        except OSError as error:
            if not self._no_checkpoints:
                log.warning("no checkpoint can be written (%s): the last one stays, training goes on", reason(error))
            self._no_checkpoints = True

    def keep(self, write: Callable[[], T]) -> T:
        """Write files of the trial, and give what `write` gives; a full disk is waited for.

        Raises:
            DeliveryError: if the disk stays full.
        """
        return patiently(write, self.store.patience, OSError, _no_room(self))


@contextmanager
def trial_run(store: Store, spec: RunSpec, courier: Courier | None = None) -> Iterator[TrialRun]:
    """Run the body as one MLflow run, whose status tells how the body ended.

    A run of the same fingerprint that was killed is continued, else a new one is made. FINISHED at the end,
    FAILED with the tag `error` after an exception, KILLED after a signal.

    Args:
        courier: delivers the metrics of several runs; None: the run has a courier of its own.

    Raises:
        TrialBusy: if another process is training the same trial.
        DeliveryError: if the store does not take the start of the run, or its end (which is kept on disk then).
    """
    with trial_lock(store, spec.fingerprint):
        complaint = (
            f"the tracking store does not take the start of run {spec.name} ({{reason}});\n"
            "once it does the same command goes on"
        )
        opened = patiently(lambda: _open(store, spec), store.patience, STORE_FAILURES, complaint)
        carried = under_way(store, spec.parent) if courier is None else nullcontext(courier)
        with carried as carrier, _ended_truly(opened, carrier) as run:
            yield run


@contextmanager
def under_way(store: Store, parent: str | None) -> Iterator[Courier]:
    """A courier that delivers while the body runs, and beats for a sweep's parent run too."""
    courier = Courier(store, [] if parent is None else [parent])
    courier.start()
    try:
        yield courier
    finally:
        courier.stop()


@contextmanager
def _ended_truly(run: TrialRun, courier: Courier) -> Iterator[TrialRun]:
    handler = SpoolHandler(run.log_file, run.run_id)
    logging.getLogger().addHandler(handler)
    logging.getLogger("recurrent_cells").setLevel(logging.INFO)
    courier.add(run.run_id, run.journal)
    own_log = {"run_id": run.run_id}
    failure: BaseException | None = None
    try:
        yield run
        outcome = _outcome("FINISHED")
    except (Interrupted, KeyboardInterrupt) as interruption:
        outcome, failure = _outcome("KILLED", str(interruption) or "interrupted"), interruption
        log.warning("interrupted: %s", outcome["tags"][Tag.ERROR], extra=own_log)
    except DeliveryError as error:  # not the trial's fault: it can go on from its last checkpoint
        outcome, failure = _outcome("KILLED", str(error)), error
        log.error("%s", error, extra=own_log | {"only_file": True})
    except BaseException as error:
        message = str(error) if isinstance(error, TrialError) else f"{type(error).__name__}: {error}"
        outcome, failure = _outcome("FAILED", message), error
        log.error("%s\n%s", message, traceback.format_exc(), extra=own_log | {"only_file": True})
        error.add_note("The traceback is in the trial's log.")
    courier.remove(run.run_id)
    logging.getLogger().removeHandler(handler)
    try:
        try:
            _keep(run, handler.spool, outcome, 0.0 if isinstance(failure, DeliveryError) else run.store.patience)
        finally:
            handler.close()
            run.journal.close()
        _deliver_patiently(run)
    except DeliveryError as error:
        if failure is None:
            raise
        if not isinstance(failure, DeliveryError):
            log.warning("%s", error)
    if failure is not None:
        raise failure


def _outcome(status: str, error: str = "") -> dict[str, Any]:
    return {"status": status, "tags": {Tag.ERROR: error[:500]} if error else {}, "end_time": int(time.time() * 1000)}


def _keep(run: TrialRun, train_log: Spool, outcome: dict[str, Any], patience: float) -> None:
    """Have the whole end of a run on disk before any of it goes to the store.

    Raises:
        DeliveryError: if the disk stays full.
    """
    outcome["tags"] |= run.tags

    def write() -> None:
        train_log.sync()
        run.journal.sync()
        write_atomically(run.folder / OUTCOME, json.dumps(outcome).encode())

    try:
        patiently(write, patience, OSError, _no_room(run))
    except DeliveryError as error:
        with suppress(Exception):  # without an outcome on disk it is as if killed: the store may know at once
            set_ended(run.store, run.run_id, "KILLED", {Tag.ERROR: str(error)})
        raise


def _no_room(run: TrialRun) -> str:
    return (
        f"{run.folder}: files of run {run.name} cannot be written ({{reason}});\n"
        "make room there, and the same command goes on from the last checkpoint"
    )


def _deliver_patiently(run: TrialRun) -> None:
    complaint = (
        f"the tracking store does not take the end of run {run.name} ({{reason}});\n"
        f"it is kept in {run.folder} and delivered at the next start of anything"
    )
    patiently(lambda: deliver(run.store, run.run_id), run.store.patience, Exception, complaint)


def _open(store: Store, spec: RunSpec) -> TrialRun:
    """Open the trial's run. Called again after a failure of the store, it goes on with the run it made."""
    tags = spec.tags | git_tags() | library_tags() | process_tags() | {Tag.FINGERPRINT: spec.fingerprint}
    known = _known_run(store, spec.fingerprint)
    if known is not None:
        run_id = str(known.info.run_id)
        tags[Tag.SWEEP] = known.data.tags.get(Tag.SWEEP, "")  # a trial has one parent, whoever goes on with it
        set_running(store, run_id, tags)
    else:
        tags |= source_tags() | {MLFLOW_GIT_COMMIT: tags[Tag.GIT_COMMIT]}
        if spec.parent is not None:
            tags[MLFLOW_PARENT_RUN_ID] = spec.parent
        created = store.client.create_run(store.experiment_id, run_name=spec.name, tags=tags)
        run_id = str(created.info.run_id)
        if not store.is_file:
            _give_way(store, spec, run_id)
    folder = store.trial_folder(run_id)
    (folder / "artifacts").mkdir(parents=True, exist_ok=True)
    for path in [folder / OUTCOME, *(folder / "artifacts").iterdir()]:
        if path.is_dir():  # they are written again; a file that a crash cut short would stay
            shutil.rmtree(path)
        elif path.name != Artifact.LOG:
            path.unlink(missing_ok=True)
    # What does not decide the result (data.root, say) may differ now; MLflow keeps the first value of a param.
    given = known.data.params if known is not None else {}
    params = [Param(key, value) for key, value in spec.params.items() if key not in given]
    for start in range(0, len(params), 100):
        store.client.log_batch(run_id, params=params[start : start + 100])
    if spec.datasets:
        store.client.log_inputs(run_id, [_dataset_input(dataset) for dataset in spec.datasets])
    return TrialRun(store, run_id, spec.name, folder, Journal(folder), spec.parent)


def _dataset_input(info: DatasetInfo) -> DatasetInput:
    dataset = Dataset(
        name=f"{info.name}-{info.context}",
        digest=info.digest,
        source_type="local",
        source=json.dumps({"data": info.name}),
        profile=json.dumps(dict(info.profile)),
    )
    return DatasetInput(dataset, tags=[InputTag(MLFLOW_DATASET_CONTEXT, info.context)])


def _known_run(store: Store, fingerprint: str) -> Run | None:
    """The run to go on with: that which this process opened, else the latest killed run whose files are here.

    Raises:
        TrialBusy: if a process on another host, or one that knows the store by another name, is training it.
    """
    runs = _runs_of(store, fingerprint)
    for run in runs:
        tags = run.data.tags
        if run.info.status == "RUNNING" and is_this_process(tags):
            return run
        _refuse_if_under_way(run)
    return next((run for run in runs if run.info.status == "KILLED" and _can_go_on(store, run)), None)


def _give_way(store: Store, spec: RunSpec, run_id: str) -> None:
    """Delete a run just made if another machine, whose locks are not ours, has opened or finished one meanwhile.

    Of two machines that look after both have made a run each sees the other's: both may give way, never both go on.

    Raises:
        TrialBusy: if the run was deleted.
    """
    try:
        for run in _runs_of(store, spec.fingerprint):
            if run.info.run_id == run_id:
                continue
            _refuse_if_under_way(run)
            if spec.since is not None and run.info.status == "FINISHED" and run.info.end_time >= spec.since:
                raise TrialBusy(f"trial {spec.fingerprint} was finished by another process just now")
    except TrialBusy:
        store.client.delete_run(run_id)
        raise


def _runs_of(store: Store, fingerprint: str) -> list[Run]:
    """All runs of a trial, the latest first."""
    condition, order = f"tags.{Tag.FINGERPRINT} = '{fingerprint}'", ["attributes.start_time DESC"]
    return list(store.client.search_runs([store.experiment_id], condition, order_by=order))


def _refuse_if_under_way(run: Run) -> None:
    tags = run.data.tags
    if run.info.status == "RUNNING" and Tag.PID in tags and cause_of_death(tags) is None:
        raise TrialBusy(f"trial {tags[Tag.FINGERPRINT]} is being trained on {tags[Tag.HOST]}, process {tags[Tag.PID]}")


def _can_go_on(store: Store, run: Run) -> bool:
    """Whether a killed run's files are here, or the run was killed on this host before it had any."""
    never_began = run.data.tags.get(Tag.HOST) == socket.gethostname() and not run.data.metrics
    return never_began or store.trial_folder(run.info.run_id).is_dir()


def deliver(store: Store, run_id: str) -> None:
    """Bring the end of a run to the store: metrics, artifacts, tags, and the status last. May be repeated."""
    folder = store.trial_folder(run_id)
    outcome = json.loads((folder / OUTCOME).read_text())
    journal = Journal(folder)
    try:
        journal.deliver(store.client, run_id)
    finally:
        journal.close()
    store.client.log_artifacts(run_id, str(folder / "artifacts"))
    set_ended(store, run_id, outcome["status"], outcome["tags"], outcome["end_time"])
    clear(folder, outcome["status"])


def clear(folder: Path, status: str) -> None:
    """Remove the files of an ended and delivered run, but for those that a killed run goes on from."""
    if status == "KILLED":
        (folder / OUTCOME).unlink(missing_ok=True)
    else:
        shutil.rmtree(folder, ignore_errors=True)


def flat(config: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """A nested config as dotted keys and strings, for MLflow's params."""
    params: dict[str, str] = {}
    for key, value in config.items():
        if isinstance(value, Mapping):
            params |= flat(value, f"{prefix}{key}.")
        else:
            params[f"{prefix}{key}"] = str(value)
    return params
