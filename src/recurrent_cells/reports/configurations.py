"""Trials that differ in nothing but the seed, taken together, and those among them that compete."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import isfinite, nan
from statistics import mean

from recurrent_cells.config.schema import schema_fields
from recurrent_cells.reports.metric import Metric
from recurrent_cells.sweeps.results import FinishedTrial
from recurrent_cells.tracking.names import Curve, Tag
from recurrent_cells.trial.fingerprint import IRRELEVANT, is_within

CELL_NAMES = {"simple_rnn": "SimpleRNN", "lstm": "LSTM", "gru": "GRU"}
# As run names say it.
SHORT = {"model.hidden_size": "h"}
CELL = "model.cell"
SEED = "seed"
# What an earlier version of the code did not write down had the value that is the default now.
DEFAULTS = {key: str(field.default) for key, field in schema_fields()}
MOST_KEYS_IN_A_LABEL = 4
SELECTION = Metric(Curve.best_val("acc"))


@dataclass(frozen=True)
class Configuration:
    """The finished trials of one configuration, one for each seed."""

    label: str
    cell: str
    settings: Mapping[str, str]
    trials: tuple[FinishedTrial, ...]

    def values(self, metric: Metric) -> dict[int, float]:
        """seed → value, where there is a finite one."""
        found = {trial.seed: trial.record.metrics.get(metric.name, nan) for trial in self.trials}
        return {seed: value for seed, value in sorted(found.items()) if isfinite(value)}

    def mean(self, metric: Metric) -> float:
        values = self.values(metric)
        return mean(values.values()) if values else nan

    @cached_property
    def n_params(self) -> int:
        return self.trials[0].n_params

    @cached_property
    def seconds(self) -> float:
        known = [trial.seconds for trial in self.trials if isfinite(trial.seconds)]
        return mean(known) if known else nan


def settings(trial: FinishedTrial) -> dict[str, str]:
    """All that decides a trial's result but the seed."""
    params = DEFAULTS | trial.record.params
    relevant = {
        key: value for key, value in params.items() if key not in (SEED, "n_params") and not is_within(key, IRRELEVANT)
    }
    return relevant | {"data.digest": trial.record.tags.get(Tag.DATA_DIGEST, "")}


def configurations(trials: Iterable[FinishedTrial]) -> list[Configuration]:
    """The configurations in the order of their first trials."""
    groups: dict[tuple[tuple[str, str], ...], list[FinishedTrial]] = defaultdict(list)
    for trial in trials:
        groups[tuple(sorted(settings(trial).items()))].append(trial)
    varied = differing([dict(key) for key in groups])
    labels = _unique([_label(dict(key), members[0], varied) for key, members in groups.items()])
    return [
        Configuration(label, dict(key)[CELL], dict(key), tuple(members))
        for label, (key, members) in zip(labels, groups.items(), strict=True)
    ]


def differing(all_settings: Sequence[Mapping[str, str]]) -> list[str]:
    """Keys that have more than one value."""
    keys = {key: None for one in all_settings for key in one}
    return [key for key in keys if len({one.get(key) for one in all_settings}) > 1]


def cell_name(cell: str) -> str:
    return CELL_NAMES.get(cell, cell)


def _label(one: Mapping[str, str], trial: FinishedTrial, varied: Sequence[str]) -> str:
    """`GRU`, `GRU h64 lr 0.003`; the recipe's name, or the run's, where too much differs."""
    keys = [key for key in varied if key != CELL]
    if len(keys) > MOST_KEYS_IN_A_LABEL:
        recipe = trial.record.params.get("recipe", "None")
        return recipe if recipe != "None" else trial.name.rpartition("-s")[0]
    parts = [f"{SHORT.get(key) or key.rpartition('.')[2] + ' '}{one[key]}" for key in keys]
    return " ".join([cell_name(one[CELL]), *parts])


def _unique(labels: Sequence[str]) -> list[str]:
    return [label if labels.count(label) == 1 else f"{label} #{n}" for n, label in enumerate(labels, start=1)]


def contenders(all_of_them: Sequence[Configuration]) -> list[Configuration]:
    """What is compared: for each cell its best configuration by validation accuracy; for one cell all of them.

    Test values take no part in the choice, so that they stay fair to compare.
    """
    by_cell: dict[str, list[Configuration]] = defaultdict(list)
    for one in all_of_them:
        by_cell[one.cell].append(one)
    if len(by_cell) == 1:
        return list(all_of_them)
    return [best(group) for group in by_cell.values()]


def best(group: Sequence[Configuration]) -> Configuration:
    """The one with the best mean validation accuracy; the first of equals."""
    return max(group, key=lambda one: one.mean(SELECTION) if one.values(SELECTION) else float("-inf"))
