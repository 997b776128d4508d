"""The status of a run and the tags that go with it."""

import getpass
import os
from collections.abc import Iterable, Mapping

from recurrent_cells.tracking.names import Tag
from recurrent_cells.tracking.provenance import heartbeat
from recurrent_cells.tracking.store import Store

# Of runs that are worked on, or wait in a queue to be.
UNDER_WAY = ("RUNNING", "SCHEDULED")


def source_tags() -> dict[str, str]:
    """By whom and from where a run was started, as MLflow's UI shows."""
    from mlflow.utils.mlflow_tags import MLFLOW_SOURCE_NAME, MLFLOW_SOURCE_TYPE, MLFLOW_USER

    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a user id without a name, as containers have
        user = str(os.getuid())
    return {MLFLOW_USER: user, MLFLOW_SOURCE_NAME: "src.train", MLFLOW_SOURCE_TYPE: "LOCAL"}


def set_tags(store: Store, run_id: str, tags: Mapping[str, str]) -> None:
    from mlflow.entities import RunTag

    store.client.log_batch(run_id, tags=[RunTag(key, value) for key, value in tags.items()])


def set_running(store: Store, run_id: str, tags: Mapping[str, str]) -> None:
    """Set a run RUNNING, error and orders of an earlier end removed; the tags name the process at work on the run."""
    set_tags(store, run_id, tags)  # first: a run that says RUNNING must name a process that lives
    store.client.update_run(run_id, status="RUNNING")
    drop_tags(store, run_id, Tag.ERROR, Tag.STOP, Tag.STOPPED, Tag.LEFT, Tag.ENDS, Tag.MOST_FAILED)


def set_ended(store: Store, run_id: str, status: str, tags: Mapping[str, str], end_time: int | None = None) -> None:
    """Set the status with which a run ended; an error stays only if it is among the tags.

    Args:
        end_time: in milliseconds; None is now.
    """
    set_tags(store, run_id, tags)
    if Tag.ERROR not in tags:
        drop_tags(store, run_id, Tag.ERROR)
    store.client.set_terminated(run_id, status=status, end_time=end_time)


def beat(store: Store, run_ids: Iterable[str]) -> None:
    """Tell other machines that runs are still worked on: those whose heartbeat stays the same they take for dead."""
    for run_id in run_ids:
        store.client.set_tag(run_id, Tag.HEARTBEAT, heartbeat())


def is_deleted(store: Store, run_id: str) -> bool:
    """Whether someone has deleted a run, for good or so that it can be restored; False where the store does not say."""
    from mlflow.entities import LifecycleStage

    try:
        return bool(store.client.get_run(run_id).info.lifecycle_stage == LifecycleStage.DELETED)
    except Exception as error:
        return getattr(error, "error_code", None) == "RESOURCE_DOES_NOT_EXIST"


def drop_tags(store: Store, run_id: str, *names: str) -> None:
    """Delete those of the tags that a run has."""
    known = store.client.get_run(run_id).data.tags
    for name in names:
        if name in known:
            store.client.delete_tag(run_id, name)
