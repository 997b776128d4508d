"""The parent run of a sweep: found again by the same plan, counting what became of its trials."""

import getpass
import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mlflow.entities import Run, RunTag
from mlflow.utils.mlflow_tags import MLFLOW_SOURCE_NAME, MLFLOW_SOURCE_TYPE, MLFLOW_USER

from recurrent_cells.sweeps.plan import Trial
from recurrent_cells.tracking.locks import alone
from recurrent_cells.tracking.provenance import git_tags, process_tags
from recurrent_cells.tracking.store import Store

PLAN = "plan.json"
PLAN_TAG = "sweep.plan"
SINCE_TAG = "sweep.since"


@dataclass(frozen=True)
class Parent:
    """The parent run of a sweep. A trial counts as finished if its run ended at `since` (milliseconds) or later."""

    run_id: str
    since: int


def open_parent(store: Store, trials: Sequence[Trial], name: str, again: bool, plan: str | None = None) -> Parent:
    """The sweep's parent, RUNNING: the one of the same plan, or a new one.

    Args:
        again: whether trials finished before are to be trained again. Where that is already under way it goes on:
            `since` stays what it was.
        plan: what a plan that grows is known by (`write_plan` keeps it); else its trials are.
    """
    plan = plan or hashlib.sha256("".join(sorted(trial.fingerprint for trial in trials)).encode()).hexdigest()[:16]
    with alone(store.folder, f"{plan}.plan"):  # two sweeps of one plan, started together, share what the first makes
        known = find_parent(store, plan)
        run_id = str(known.info.run_id) if known is not None else _create(store, name, plan)
        since = 0
        if again:
            under_way = known is not None and known.info.status != "FINISHED"
            since = (since_of(store, run_id) if under_way else 0) or int(time.time() * 1000)
        # The process first: a run that says RUNNING must name one that lives.
        tags = process_tags() | git_tags() | {"sweep": run_id, SINCE_TAG: str(since)}
        set_tags(store, run_id, tags)
        store.client.update_run(run_id, status="RUNNING")
        if trials:
            write_plan(store, run_id, trials)
    return Parent(run_id, since)


def find_parent(store: Store, plan: str) -> Run | None:
    """The latest parent of a plan."""
    runs = store.client.search_runs(
        [store.experiment_id],
        f"tags.`{PLAN_TAG}` = '{plan}'",
        max_results=1,
        order_by=["attributes.start_time DESC"],
    )
    return runs[0] if runs else None


def write_plan(store: Store, run_id: str, trials: Sequence[Trial]) -> None:
    """Keep the trials of a sweep with its parent."""
    set_tags(store, run_id, {"sweep.trials": str(len(trials))})
    store.client.log_text(run_id, _as_json(trials), PLAN)


def since_of(store: Store, run_id: str) -> int:
    return int(store.client.get_run(run_id).data.tags.get(SINCE_TAG, 0))


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
            "varied": dict(trial.varied),
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
