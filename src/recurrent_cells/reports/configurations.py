"""Trials that differ in nothing but the seed, taken together, and those among them that compete."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from math import isfinite, nan
from statistics import mean
from typing import Any

from recurrent_cells.config.schema import block_keys, default_of, schema_fields
from recurrent_cells.reports.metric import Metric, selection_of
from recurrent_cells.sweeps.results import FinishedTrial, SweepData
from recurrent_cells.tables import CELLS
from recurrent_cells.tracking.names import Tag
from recurrent_cells.tracking.queries import TrialRecord
from recurrent_cells.trial.fingerprint import IRRELEVANT, is_within

CELL, SIZE = "model.cell", "model.hidden_size"
# As in run names.
SHORT = {SIZE: "h", "data.name": ""}
# Runs of earlier versions lack the params that came later: those had today's defaults.
DEFAULTS = {key: str(default_of(field)) for key, field in schema_fields()}
# Their files set keys of any section, a file of another group those of its own.
OF_ANY_SECTION = ("experiment", PROBLEM := "problem")
GROUPS = {*OF_ANY_SECTION} | {key.partition(".")[0] for key in DEFAULTS if "." in key}
MOST_KEYS_IN_A_LABEL = 4


@dataclass(frozen=True)
class Configuration:
    """The finished trials of one configuration, one for each seed.

    Args:
        settings: all that decides its result but the seed. Where a sweep chose among the files of a group, as by
            `optimizer=adam,sgd`, the file's name stands for the keys that follow from it.
        said: the keys whose values may stand in a label.
    """

    label: str
    cell: str
    settings: Mapping[str, str]
    trials: tuple[FinishedTrial, ...]
    said: tuple[str, ...] = ()

    def values(self, metric: Metric) -> dict[int, float]:
        """seed → value, where there is a finite one."""
        found = {trial.seed: trial.record.metrics.get(metric.name, nan) for trial in self.trials}
        return {seed: value for seed, value in sorted(found.items()) if isfinite(value)}

    def mean(self, metric: Metric) -> float:
        values = self.values(metric)
        return mean(values.values()) if values else nan

    @cached_property
    def selection(self) -> Metric:
        """By which configurations are chosen among."""
        return selection_of(self.trials[0].record)

    @cached_property
    def rank(self) -> float:
        """The higher, the better by validation."""
        return self.selection.rank(self.mean(self.selection))

    @property
    def block(self) -> str:
        """The data block."""
        return self.trials[0].record.block

    @cached_property
    def identity(self) -> tuple[tuple[str, str], ...]:
        """What makes it the same configuration on other data."""
        other = {Tag.DATA_DIGEST, "data", PROBLEM, "data.num_classes", *block_keys()}
        return tuple(sorted(item for item in self.settings.items() if item[0] not in other))

    @cached_property
    def n_params(self) -> int:
        return self.trials[0].n_params

    @cached_property
    def seconds(self) -> float:
        known = [trial.seconds for trial in self.trials if isfinite(trial.seconds)]
        return mean(known) if known else nan


def configurations(data: SweepData, chosen: Sequence[str] = ()) -> list[Configuration]:
    """The configurations in the order of their first trials.

    Args:
        chosen: keys whose values a phase has chosen: labels leave them out where others tell configurations apart, as
            they do a hidden size that was not swept but follows from a number of parameters.
    """
    members: dict[tuple[tuple[str, str], ...], list[FinishedTrial]] = defaultdict(list)
    for trial in data.finished:
        members[tuple(sorted(settings_of(trial.record).items()))].append(trial)
    groups = list(members.values())
    settings = _by_choice(data, [dict(key) for key in members], groups)
    varied = differing(settings)
    if set(varied) & {"data", *block_keys()}:  # other data have another digest
        varied = [key for key in varied if key != Tag.DATA_DIGEST]
    said = [key for key in varied if not is_within(key, chosen) and (key != SIZE or _is_given(data, SIZE))]
    labels = [_label(one, trials[0], said) for one, trials in zip(settings, groups, strict=True)]
    if len(set(labels)) < len(labels):
        said = varied
        labels = _unique([_label(one, trials[0], said) for one, trials in zip(settings, groups, strict=True)])
    return [
        Configuration(label, one[CELL], one, tuple(trials), tuple(said))
        for label, one, trials in zip(labels, settings, groups, strict=True)
    ]


def _is_given(data: SweepData, key: str) -> bool:
    """Whether the command varied the key, by itself or within `model={…}`; true where a sweep has not kept that."""
    name = key.rpartition(".")[2]
    varied = [trial.varied for trial in data.trials if trial.varied]
    return not varied or any(key in one or name in one.get("model", "") for one in varied)


def settings_of(record: TrialRecord) -> dict[str, str]:
    """All that decides a trial's result but the seed."""
    params = DEFAULTS | option_defaults(record.params.get(CELL, "")) | record.params
    relevant = {key: value for key, value in params.items() if not _is_ignored(key)}
    return relevant | {Tag.DATA_DIGEST: record.tags.get(Tag.DATA_DIGEST, "")}


@cache
def _is_ignored(key: str) -> bool:
    return is_within(key, ("seed", "n_params", *IRRELEVANT))


def _by_choice(
    data: SweepData, settings: Sequence[Mapping[str, str]], trials: Sequence[Sequence[FinishedTrial]]
) -> list[dict[str, str]]:
    """Settings in which the choices of swept groups stand for the keys that follow from them."""
    by_run = {trial.record.run_id: trial.overrides for trial in data.trials if trial.record}
    overrides = [by_run[members[0].run_id] for members in trials]
    swept = sorted(GROUPS & (data.swept or frozenset()))

    def follows(key: str) -> bool:
        groups = [group for group in swept if group in OF_ANY_SECTION or key.startswith(f"{group}.")]
        choices = [tuple((group, chosen[group]) for group in groups if group in chosen) for chosen in overrides]
        named = key == CELL or any(key in chosen for chosen in overrides)
        values = {(choice, one.get(key)) for choice, one in zip(choices, settings, strict=True)}
        return not named and all(choices) and len(values) == len(set(choices))

    def says_nothing(key: str) -> bool:
        return all(key not in one or one[key] == option_defaults(one[CELL]).get(key) for one in settings)

    keys = dict.fromkeys(key for one in settings for key in one)
    left = [key for key in keys if not follows(key) and not says_nothing(key)]
    return [
        {group: chosen[group] for group in swept if group in chosen} | {key: one[key] for key in left if key in one}
        for chosen, one in zip(overrides, settings, strict=True)
    ]


def differing(all_settings: Sequence[Mapping[str, str]]) -> list[str]:
    """Keys that have more than one value."""
    keys = {key: None for one in all_settings for key in one}
    return [key for key in keys if len({one.get(key) for one in all_settings}) > 1]


def cell_class(cell: str) -> Any:
    """The class of a cell; None if it is not known here, in an older store or of an extension that is not loaded."""
    try:
        return CELLS[cell]
    except KeyError:
        return None


def option_defaults(cell: str) -> dict[str, str]:
    """A cell's own settings as params, at their defaults."""
    options = getattr(cell_class(cell), "options", {})
    return {f"model.options.{name}": str(option.default) for name, option in options.items()}


def cell_label(cell: str) -> str:
    return getattr(cell_class(cell), "label", cell)


def _label(settings: Mapping[str, str], trial: FinishedTrial, varied: Sequence[str]) -> str:
    """`GRU`, `GRU h64 lr 0.003`, `GRU adam`; the recipe's name, or the run's, where too much differs."""
    cell = settings[CELL]
    keys = [key for key in varied if key in settings and key != CELL and (key, settings[key]) != ("model", cell)]
    if len(keys) > MOST_KEYS_IN_A_LABEL:
        recipe = trial.record.params.get("recipe", "None")
        return recipe if recipe != "None" else trial.name.rpartition("-s")[0]
    return short_label(settings, keys)


def short_label(settings: Mapping[str, str], keys: Sequence[str]) -> str:
    """The cell, and the values of these keys but its own and its model file's."""
    told = {key: settings[key] for key in keys if settings.get(key, "None") not in ("None", settings[CELL])}
    parts = [_part(key, value) for key, value in told.items()]
    return " ".join([cell_label(settings[CELL]), *parts])


def _part(key: str, value: str) -> str:
    """What a label says of a key: `h64`, `lr 0.003`, `adam`, `peepholes` or `no peepholes`."""
    short = short_key(key)
    if value in ("True", "False"):
        return f"{'' if value == 'True' else 'no '}{short.strip()}"
    return f"{short}{value}"


def short_key(key: str) -> str:
    """How a label introduces the value of a key: a choice of a group speaks for itself."""
    return "" if key in GROUPS else SHORT.get(key, f"{key.rpartition('.')[2]} ")


def _unique(labels: Sequence[str]) -> list[str]:
    return [label if labels.count(label) == 1 else f"{label} #{n}" for n, label in enumerate(labels, start=1)]


def contenders(everything: Sequence[Configuration]) -> list[Configuration]:
    """The configurations of a data block to compare: the best of each cell by validation; of one cell, all of them.

    Test values take no part in the choice, so that they stay fair to compare.
    """
    by_cell = by(everything, lambda one: one.cell)
    return list(everything) if len(by_cell) == 1 else [best(group) for group in by_cell.values()]


def best(group: Sequence[Configuration]) -> Configuration:
    """The configuration with the best mean validation value, the first of equals.

    Only those with as many seeds as the most complete one may be chosen: fewer are more often good by chance.
    """
    most = max(len(one.trials) for one in group)
    return max((one for one in group if len(one.trials) == most), key=lambda one: one.rank)


def by(everything: Sequence[Configuration], key: Callable[[Configuration], Any]) -> dict[Any, list[Configuration]]:
    """The configurations with each value of a key, in their order."""
    groups: dict[Any, list[Configuration]] = defaultdict(list)
    for one in everything:
        groups[key(one)].append(one)
    return groups
