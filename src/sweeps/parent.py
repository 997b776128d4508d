"""The parent run of a sweep: found again by the same plan, counting what became of its trials."""

import getpass
import hashlib
import json
from collections.abc import Mapping, Sequence

from mlflow.entities import RunTag
from mlflow.utils.mlflow_tags import MLFLOW_SOURCE_NAME, MLFLOW_SOURCE_TYPE, MLFLOW_USER

from src.sweeps.plan import Trial
from src.tracking.provenance import git_tags, process_tags
from src.tracking.store import Store

PLAN = "plan.json"
PLAN_TAG = "sweep.plan"


def open_parent(store: Store, trials: Sequence[Trial], name: str) -> str:
    """The run id of the sweep's parent, RUNNING: the one of the same plan, or a new one."""
    plan = hashlib.sha256("".join(sorted(trial.fingerprint for trial in trials)).encode()).hexdigest()[:16]
    known = store.client.search_runs(
        [store.experiment_id],
        f"tags.`{PLAN_TAG}` = '{plan}'",
        max_results=1,
        order_by=["attributes.start_time DESC"],
    )
    tags = process_tags() | git_tags() | {PLAN_TAG: plan, "sweep.trials": str(len(trials))}
    if known:
        run_id = str(known[0].info.run_id)
        set_tags(store, run_id, tags)
        store.client.update_run(run_id, status="RUNNING")
        return run_id
    tags |= {MLFLOW_USER: getpass.getuser(), MLFLOW_SOURCE_NAME: "src.train", MLFLOW_SOURCE_TYPE: "LOCAL"}
    run_id = str(store.client.create_run(store.experiment_id, run_name=name, tags=tags).info.run_id)
    set_tags(store, run_id, {"sweep": run_id})
    entries = [
        {
            "name": trial.name,
            "fingerprint": trial.fingerprint,
            "overrides": list(trial.overrides),
            "n_params": trial.n_params,
        }
        for trial in trials
    ]
    store.client.log_text(run_id, json.dumps(entries, indent=1), PLAN)
    return run_id


def set_tags(store: Store, run_id: str, tags: Mapping[str, str]) -> None:
    store.client.log_batch(run_id, tags=[RunTag(key, value) for key, value in tags.items()])


def close_parent(store: Store, run_id: str, counts: Mapping[str, int], status: str) -> None:
    """Set the counts of trials (`finished`, `failed`) and the status."""
    set_tags(store, run_id, {f"sweep.{what}": str(count) for what, count in counts.items()})
    store.client.set_terminated(run_id, status=status)
