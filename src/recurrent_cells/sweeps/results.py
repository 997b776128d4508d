"""The trials of a sweep, or of several, as the store has them: all that were planned, whatever became of them."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from mlflow.entities import Run

from recurrent_cells.errors import UserError
from recurrent_cells.paths import command
from recurrent_cells.sweeps.parent import PLAN, PLAN_TAG, SINCE_TAG
from recurrent_cells.tracking.provenance import HEARTBEAT
from recurrent_cells.tracking.queries import (
    TrialRecord,
    latest_by_fingerprint,
    read_artifact,
    search,
    trial_records,
    unpruned,
)
from recurrent_cells.tracking.store import Store

LATEST = "latest"
SHORTEST_ID = 4


@dataclass(frozen=True)
class PlannedTrial:
    """A trial of the plan and its run.

    Args:
        state: finished, pruned (by the search whose trial it is), failed, killed, running or missing (no run).
        varied: of the overrides those that vary over the sweep, as they were given.
    """

    name: str
    fingerprint: str
    overrides: Mapping[str, str]
    record: TrialRecord | None
    state: str
    varied: Mapping[str, str] = field(default_factory=dict)

    @property
    def error(self) -> str:
        return self.record.error if self.record else ""


@dataclass(frozen=True)
class FinishedTrial:
    """A trial that can be compared."""

    record: TrialRecord

    @property
    def run_id(self) -> str:
        return self.record.run_id

    @property
    def name(self) -> str:
        return self.record.name

    @cached_property
    def seed(self) -> int:
        return int(self.record.params["seed"])

    @cached_property
    def n_params(self) -> int:
        return int(self.record.params["n_params"])

    @property
    def seconds(self) -> float:
        return self.record.seconds if self.record.seconds is not None else float("nan")


@dataclass(frozen=True)
class Sweep:
    """A parent run."""

    run_id: str
    name: str
    status: str
    artifact_uri: str


@dataclass(frozen=True)
class SweepData:
    """Trials of one sweep or of several joined, each once.

    Args:
        swept: keys given more than one value; None where no plan is on record.
    """

    sweeps: tuple[Sweep, ...]
    trials: tuple[PlannedTrial, ...]
    swept: frozenset[str] | None

    @cached_property
    def finished(self) -> tuple[FinishedTrial, ...]:
        return tuple(FinishedTrial(trial.record) for trial in self.trials if trial.record and trial.state == "finished")

    @cached_property
    def unfinished(self) -> tuple[PlannedTrial, ...]:
        return tuple(trial for trial in self.trials if trial.state not in ("finished", "pruned"))


@dataclass
class _Merged:
    trials: dict[str, PlannedTrial] = field(default_factory=dict)
    swept: set[str] = field(default_factory=set)
    planned: bool = True


def read_sweeps(store: Store, which: str = LATEST) -> tuple[Store, SweepData]:
    """The trials of `which`: `latest`, a parent's run id or its beginning, or several with commas between.

    Returns:
        the store at the sweeps' own experiment, and the trials.

    Raises:
        UserError: if there is no such sweep.
    """
    names = [name.strip() for name in which.split(",")]
    parents = list(_parents(store))
    if not parents:
        raise UserError(f"sweep={which}: the store {store.address} has no sweep; {command('train')} -m … makes one")
    chosen = list({run.info.run_id: run for run in (_find(name, parents) for name in names)}.values())
    experiments = {run.info.experiment_id for run in chosen}
    if len(experiments) > 1:
        raise UserError(f"sweep={which}: they are in different experiments; join sweeps of one")
    (experiment_id,) = experiments
    store = replace(store, experiment_id=experiment_id)
    records = trial_records(store)
    merged = _Merged()
    for run in chosen:
        _merge(merged, store, run, records)
    sweeps = tuple(
        Sweep(run.info.run_id, run.info.run_name or "", run.info.status, run.info.artifact_uri) for run in chosen
    )
    return store, SweepData(sweeps, tuple(merged.trials.values()), frozenset(merged.swept) if merged.planned else None)


def _parents(store: Store) -> Iterator[Run]:
    for experiment in store.client.search_experiments():
        yield from search(replace(store, experiment_id=experiment.experiment_id), f"tags.`{PLAN_TAG}` != ''")


def _find(name: str, parents: Sequence[Run]) -> Run:
    if name == LATEST:
        return max(parents, key=_last_sign)
    found = [run for run in parents if len(name) >= SHORTEST_ID and run.info.run_id.startswith(name)]
    if len(found) == 1:
        return found[0]
    latest = max(parents, key=_last_sign)
    fault = "several sweeps begin so" if found else "no such sweep"
    raise UserError(
        f"sweep={name}: {fault}; allowed is latest, a sweep's run id or its beginning "
        f"({len(parents)} in the store, the latest is {latest.info.run_id})"
    )


def _last_sign(run: Run) -> int:
    """When a sweep was last at work, in milliseconds; the same command reopens an old parent."""
    return max(run.info.start_time, run.info.end_time or 0, 1000 * int(run.data.tags.get(HEARTBEAT, 0)))


def _merge(merged: _Merged, store: Store, parent: Run, records: Sequence[TrialRecord]) -> None:
    plan = read_artifact(store, parent.info.run_id, parent.info.artifact_uri, PLAN)
    if plan is None:
        merged.planned = False
        own = [record for record in records if record.tags.get("sweep") == parent.info.run_id]
        for fingerprint, record in latest_by_fingerprint(own).items():
            merged.trials.setdefault(
                fingerprint, PlannedTrial(record.name, fingerprint, {}, record, record.status.lower())
            )
        return
    since = int(parent.data.tags.get(SINCE_TAG, 0))
    counting = [record for record in records if record.end_time >= since or record.end_time == 0]
    latest = latest_by_fingerprint(unpruned(counting, but_by=parent.info.run_id))
    entries: list[dict[str, Any]] = json.loads(plan)
    values: dict[str, set[str]] = {}
    for entry in entries:
        overrides = _as_mapping(entry["overrides"])
        for key, value in overrides.items():
            values.setdefault(key, set()).add(value)
        found = latest.get(entry["fingerprint"])
        state = "missing" if found is None else "pruned" if found.pruned else found.status.lower()
        trial = PlannedTrial(entry["name"], entry["fingerprint"], overrides, found, state, entry.get("varied", {}))
        if merged.trials.get(trial.fingerprint, trial).state != "finished":
            merged.trials[trial.fingerprint] = trial
        merged.trials.setdefault(trial.fingerprint, trial)
    merged.swept |= {key for key, found_values in values.items() if len(found_values) > 1}


def _as_mapping(overrides: Sequence[str]) -> dict[str, str]:
    """`model=gru` as it is, `model={cell:gru,hidden_size:150}` as the keys it sets."""
    values: dict[str, str] = {}
    for override in overrides:
        key, _, value = override.lstrip("+").partition("=")
        if value.startswith("{") and value.endswith("}"):
            pairs = (pair.partition(":") for pair in value[1:-1].split(","))
            values |= {f"{key}.{name.strip()}": inner.strip() for name, _, inner in pairs}
        else:
            values[key] = value
    return values
