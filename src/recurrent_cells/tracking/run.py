"""The life of one MLflow run: opened or continued, fed through its journal, ended with its true status."""

import logging
import shutil
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from mlflow.entities import Run

from recurrent_cells.errors import DeliveryError, Halted, Interrupted, TrialError
from recurrent_cells.tracking.delivery import Outcome, clear, deliver, keep_end, outcome_of
from recurrent_cells.tracking.journal import Courier, Journal
from recurrent_cells.tracking.locks import trial_lock
from recurrent_cells.tracking.names import Artifact, Tag
from recurrent_cells.tracking.opening import RunSpec, open_run
from recurrent_cells.tracking.patience import patiently, reason
from recurrent_cells.tracking.spool import Spool, SpoolHandler
from recurrent_cells.tracking.status import is_deleted, set_ended
from recurrent_cells.tracking.steering import read_orders
from recurrent_cells.tracking.store import Store

T = TypeVar("T")

log = logging.getLogger(__name__)


@dataclass
class TrialRun:
    """An open run. `folder` holds its files until the run has ended, `artifacts` those to be kept in MLflow.

    `tags` are set when the run ends; `stop` is why it is to end before it is done, None until that is asked for.
    """

    store: Store
    opened: Run
    name: str
    folder: Path
    journal: Journal
    parent: str | None = None
    tags: dict[str, str] = field(default_factory=dict)
    stop: Halted | None = None
    _no_checkpoints: bool = False

    @property
    def run_id(self) -> str:
        return str(self.opened.info.run_id)

    @property
    def artifacts(self) -> Path:
        return self.folder / "artifacts"

    @property
    def state_file(self) -> Path:
        return self.folder / "state.ckpt"

    @property
    def log_file(self) -> Path:
        return self.artifacts / Artifact.LOG

    def halt(self, reason: Halted) -> None:
        self.stop = self.stop or reason

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
    FAILED with the tag `error` after an exception, KILLED after a signal or where the run was asked to stop.

    Args:
        courier: delivers the metrics of several runs; None: the run has a courier of its own.

    Raises:
        TrialBusy: if another process is training the same trial.
        Halted: if the trial's sweep leaves the trial out, or starts no more.
        DeliveryError: if the store does not take the start of the run, or its end (which is kept on disk then).
    """
    with trial_lock(store, spec.fingerprint):
        complaint = (
            f"the tracking store does not take the start of run {spec.name} ({{reason}});\n"
            "once it does the same command goes on"
        )
        carried = under_way(store, spec.parent) if courier is None else nullcontext(courier)
        with carried as carrier:
            carrier.orders.check(spec.fingerprint)
            opened = patiently(lambda: _opened(store, spec), store.patience, complaint=complaint)
            with _ended_truly(opened, carrier) as run:
                yield run


def _opened(store: Store, spec: RunSpec) -> TrialRun:
    run = open_run(store, spec)
    folder = store.trial_folder(run.info.run_id)
    return TrialRun(store, run, spec.name, folder, Journal(folder), spec.parent)


@contextmanager
def under_way(store: Store, parent: str | None) -> Iterator[Courier]:
    """A courier that delivers while the body runs, beats for a sweep's parent run too, and knows what that asks."""
    orders = patiently(lambda: read_orders(store, parent), store.patience)
    courier = Courier(store, [] if parent is None else [parent], orders)
    courier.start()
    try:
        yield courier
    finally:
        courier.stop()


@contextmanager
def _ended_truly(run: TrialRun, courier: Courier) -> Iterator[TrialRun]:
    handler = run.keep(lambda: SpoolHandler(run.log_file, run.run_id))
    logging.getLogger().addHandler(handler)
    logging.getLogger("recurrent_cells").setLevel(logging.INFO)
    courier.add(run.run_id, run.journal, run.halt)
    own_log = {"run_id": run.run_id}
    failure: BaseException | None = None
    try:
        yield run
        outcome = outcome_of("FINISHED")
    except Halted as halted:
        outcome, failure = outcome_of("KILLED", str(halted)), halted
        log.warning("%s", halted, extra=own_log)
    except (Interrupted, KeyboardInterrupt) as interruption:
        outcome, failure = outcome_of("KILLED", str(interruption) or "interrupted"), interruption
        log.warning("interrupted: %s", outcome.tags[Tag.ERROR], extra=own_log)
    except DeliveryError as error:  # not the trial's fault: it can go on from its last checkpoint
        outcome, failure = outcome_of("KILLED", str(error)), error
        log.error("%s", error, extra=own_log | {"only_file": True})
    except BaseException as error:
        message = str(error) if isinstance(error, TrialError) else f"{type(error).__name__}: {error}"
        outcome, failure = outcome_of("FAILED", message), error
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
        _deliver(run, outcome.status)
    except DeliveryError as error:
        if failure is None:
            raise
        if not isinstance(failure, DeliveryError):
            log.warning("%s", error)
    if failure is not None:
        raise failure


def _keep(run: TrialRun, train_log: Spool, outcome: Outcome, patience: float) -> None:
    """Have the whole end of a run on disk before any of it goes to the store.

    Raises:
        DeliveryError: if the disk stays full.
    """

    def write() -> None:
        train_log.sync()
        run.journal.sync()
        keep_end(run.folder, outcome, run.tags)

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


def _deliver(run: TrialRun, status: str) -> None:
    """Bring the end of a run to the store and remove its files.

    Raises:
        DeliveryError: if the store does not take the end, which stays on disk then.
    """
    complaint = (
        f"the tracking store does not take the end of run {run.name} ({{reason}});\n"
        f"it is kept in {run.folder} and delivered at the next start of anything"
    )
    try:
        patiently(lambda: deliver(run.store, run.opened), run.store.patience, Exception, complaint)
    except DeliveryError:
        if not is_deleted(run.store, run.run_id):
            raise
        shutil.rmtree(run.folder, ignore_errors=True)
        raise DeliveryError(
            f"run {run.name} was deleted from the store while it trained, and its files with it;\n"
            "the same command trains it again"
        ) from None
    if run.parent is None:
        run.store.disconnect()  # closing writes: what is killed before the files are gone, the next start tells of
    clear(run.store, run.opened, status)
