"""The trials of a sweep, or of several, as the store has them: all that were planned, whatever became of them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Transformer

from recurrent_cells.errors import UserError
from recurrent_cells.paths import command
from recurrent_cells.tracking.artifacts import read_earlier, read_plan
from recurrent_cells.tracking.names import Tag
from recurrent_cells.tracking.parents import ParentRun, all_parents
from recurrent_cells.tracking.queries import TrialRecord, latest_by_fingerprint, trial_records, unpruned
from recurrent_cells.tracking.store import Store

LATEST = "latest"
SHORTEST_ID = 4


@dataclass(frozen=True)
class PlannedTrial:
    """A trial of the plan and its run.

    Args:
        state: finished, pruned (by the search whose trial it is), failed, killed, running or missing (no run).
        varied: of the overrides those that vary over the sweep, as they were given.
        steps: the budget of optimiser steps; 0 where the plan does not say.
    """

    name: str
    fingerprint: str
    overrides: Mapping[str, str]
    record: TrialRecord | None
    state: str
    varied: Mapping[str, str] = field(default_factory=dict)
    steps: int = 0

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
class SweepData:
    """Trials of one sweep or of several joined, each once.

    Args:
        swept: keys given more than one value; None where no plan is on record.
    """

    sweeps: tuple[ParentRun, ...]
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
    """The trials of `which`, as `find_sweeps`.

    Returns:
        the store at the sweeps' own experiment, and the trials.
    """
    store, parents = find_sweeps(store, which)
    return store, joined(store, parents, trial_records(store))


def find_sweeps(store: Store, which: str = LATEST) -> tuple[Store, list[ParentRun]]:
    """The sweeps of `which`: `latest`, a parent's run id or its beginning, or several with commas between.

    Returns:
        the store at the sweeps' own experiment, and their parents.

    Raises:
        UserError: if there is no such sweep.
    """
    names = [name.strip() for name in which.split(",")]
    parents = all_parents(store)
    if not parents:
        raise UserError(f"sweep={which}: the store {store.address} has no sweep; {command('train')} -m … makes one")
    chosen = list({parent.run_id: parent for parent in (_find(name, parents) for name in names)}.values())
    experiments = {parent.experiment_id for parent in chosen}
    if len(experiments) > 1:
        raise UserError(f"sweep={which}: they are in different experiments; join sweeps of one")
    (experiment_id,) = experiments
    return replace(store, experiment_id=experiment_id), chosen


def joined(store: Store, parents: Sequence[ParentRun], records: Sequence[TrialRecord]) -> SweepData:
    """The trials of sweeps, each once, with what `records` of their experiment tell of them."""
    merged = _Merged()
    for parent in parents:
        _merge(merged, store, parent, records)
    swept = frozenset(merged.swept) if merged.planned else None
    return SweepData(tuple(parents), tuple(merged.trials.values()), swept)


def read_trials(store: Store, which: str = LATEST) -> tuple[Store, SweepData]:
    """As `read_sweeps`, or all trials of the experiment that `which` names, those that were trained alone too."""
    found = next((one for one in store.everywhere() if one.experiment == which), None)
    if found is None:
        return read_sweeps(store, which)
    records = latest_by_fingerprint(trial_records(found)).values()
    return found, SweepData((), tuple(map(_unplanned, records)), None)


def _unplanned(record: TrialRecord) -> PlannedTrial:
    state = "pruned" if record.pruned else record.status.lower()
    return PlannedTrial(record.name, record.fingerprint, {}, record, state)


def _find(name: str, parents: Sequence[ParentRun]) -> ParentRun:
    latest = max(parents, key=lambda parent: parent.last_sign)
    if name == LATEST:
        return latest
    found = [parent for parent in parents if len(name) >= SHORTEST_ID and parent.run_id.startswith(name)]
    if len(found) == 1:
        return found[0]
    fault = "several sweeps begin so" if found else "no such sweep"
    raise UserError(
        f"sweep={name}: {fault}; allowed is latest, a sweep's run id or its beginning "
        f"({len(parents)} in the store, the latest is {latest.run_id})"
    )


def _merge(merged: _Merged, store: Store, parent: ParentRun, records: Sequence[TrialRecord]) -> None:
    """Add the trials of a sweep; of a trial that several sweeps planned, the finished run counts."""
    plan = read_plan(store, parent)
    if plan is None:
        merged.planned = False
        own = [record for record in records if record.tags.get(Tag.SWEEP) == parent.run_id]
        for fingerprint, record in latest_by_fingerprint(own).items():
            merged.trials.setdefault(fingerprint, _unplanned(record))
        return
    earlier = read_earlier(store, parent, parent.round)
    latest = latest_by_fingerprint(unpruned(records, but_by=parent.run_id), earlier)
    values: dict[str, set[str]] = {}
    for entry in plan:
        overrides = _as_mapping(entry.overrides)
        for key, value in overrides.items():
            values.setdefault(key, set()).add(value)
        found = latest.get(entry.fingerprint)
        state = "missing" if found is None else "pruned" if found.pruned else found.status.lower()
        trial = PlannedTrial(entry.name, entry.fingerprint, overrides, found, state, entry.varied, entry.steps)
        if trial.fingerprint not in merged.trials or merged.trials[trial.fingerprint].state != "finished":
            merged.trials[trial.fingerprint] = trial
    merged.swept |= {key for key, found_values in values.items() if len(found_values) > 1}


def _as_mapping(overrides: Sequence[str]) -> dict[str, str]:
    """`model=gru` as it is, `model={cell:gru,hidden_size:150}` as the keys it sets."""
    values: dict[str, str] = {}
    for override in overrides:
        key, _, value = override.lstrip("+").partition("=")
        values |= {f"{key}{name}": inner for name, inner in _entries(value).items()}
    return values


@lru_cache(maxsize=1000)
def _entries(value: str) -> dict[str, str]:
    """The entries of a mapping as Hydra reads it, by `.key`; another value has the key ""."""
    if not value.startswith("{"):
        return {"": value}
    parsed = OverridesParser.create().parse_override(f"key={value}").value()
    return dict(_flat("", parsed))


def _flat(key: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _flat(f"{key}.{name}", inner)
    else:
        yield key, value if isinstance(value, str) else Transformer.str(value)
