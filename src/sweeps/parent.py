"""The parent run of a sweep: found again by the same plan, counting what became of its trials."""

import fcntl
import getpass
import hashlib
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from mlflow.entities import RunTag
from mlflow.utils.mlflow_tags import MLFLOW_SOURCE_NAME, MLFLOW_SOURCE_TYPE, MLFLOW_USER

from src.sweeps.plan import Trial
from src.tracking.provenance import git_tags, process_tags
from src.tracking.store import Store

PLAN = "plan.json"
PLAN_TAG = "sweep.plan"
SINCE_TAG = "sweep.since"


@dataclass(frozen=True)
class Parent:
    """The parent run of a sweep. A trial counts as finished if its run ended at `since` (milliseconds) or later."""

    run_id: str
    since: int


def open_parent(store: Store, trials: Sequence[Trial], name: str, again: bool) -> Parent:
    """The sweep's parent, RUNNING: the one of the same plan, or a new one.

    Args:
        again: whether trials finished before are to be trained again. Where that is already under way it goes on:
            `since` stays what it was.
    """
    plan = hashlib.sha256("".join(sorted(trial.fingerprint for trial in trials)).encode()).hexdigest()[:16]
    with _alone(store, plan):
        runs = store.client.search_runs(
            [store.experiment_id],
            f"tags.`{PLAN_TAG}` = '{plan}'",
            max_results=1,
            order_by=["attributes.start_time DESC"],
        )
        known = runs[0] if runs else None
        run_id = str(known.info.run_id) if known is not None else _create(store, name, plan)
        since = 0
        if again:
            under_way = known is not None and known.info.status != "FINISHED"
            since = (since_of(store, run_id) if under_way else 0) or int(time.time() * 1000)
        # The process first: a run that says RUNNING must name one that lives.
        tags = process_tags() | git_tags() | {"sweep": run_id, SINCE_TAG: str(since)}
        set_tags(store, run_id, tags | {"sweep.trials": str(len(trials))})
        store.client.update_run(run_id, status="RUNNING")
        store.client.log_text(run_id, _as_json(trials), PLAN)
    return Parent(run_id, since)


def since_of(store: Store, run_id: str) -> int:
    return int(store.client.get_run(run_id).data.tags.get(SINCE_TAG, 0))


@contextmanager
def _alone(store: Store, plan: str) -> Iterator[None]:
    """Two sweeps of one plan, started together, share the parent that the first of them makes."""
    path = store.folder / "locks" / f"{plan}.plan"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _create(store: Store, name: str, plan: str) -> str:
    tags = process_tags() | {
        PLAN_TAG: plan,
        MLFLOW_USER: getpass.getuser(),
        MLFLOW_SOURCE_NAME: "src.train",
        MLFLOW_SOURCE_TYPE: "LOCAL",
    }
    return str(store.client.create_run(store.experiment_id, run_name=name, tags=tags).info.run_id)


def _as_json(trials: Sequence[Trial]) -> str:
    entries = [
        {
            "name": trial.name,
            "fingerprint": trial.fingerprint,
            "overrides": list(trial.overrides),
            "n_params": trial.n_params,
        }
        for trial in trials
    ]
    return json.dumps(entries, indent=1)


def set_tags(store: Store, run_id: str, tags: Mapping[str, str]) -> None:
    store.client.log_batch(run_id, tags=[RunTag(key, value) for key, value in tags.items()])


def close_parent(store: Store, run_id: str, counts: Mapping[str, int], status: str) -> None:
    """Set the counts of trials (`finished`, `failed`) and the status."""
    set_tags(store, run_id, {f"sweep.{what}": str(count) for what, count in counts.items()})
    store.client.set_terminated(run_id, status=status)
