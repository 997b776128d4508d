"""From a command line to the configs of its trials, all composed and checked before any trial starts."""

import copy
import itertools
import math
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, RangeSweep
from omegaconf import DictConfig, OmegaConf

from recurrent_cells.config.messages import explain
from recurrent_cells.config.schema import Config, schema_fields
from recurrent_cells.config.validation import checked, typed
from recurrent_cells.errors import UserError

MOST_TRIALS = 100_000
OF_THE_WHOLE_SWEEP = ("sweep.", "tracking.")


@dataclass(frozen=True)
class Point:
    """One point of a grid: its overrides, those among them that vary over the grid, and the config they make."""

    overrides: tuple[str, ...]
    varied: Mapping[str, str]
    config: Config


def compose_grid(compose: "Composer", params: Mapping[str, str], arguments: Sequence[str]) -> list[Point]:
    """All points of a grid in its order.

    Args:
        compose: makes their configs; grids that share a composer share what Hydra composes.
        params: the sweep's own choices (`hydra.sweeper.params`), replaced key by key by `arguments`.
        arguments: the overrides of the command line, `key=a,b` being choices.

    Raises:
        UserError: with the faults of all points together.
    """
    overrides_by_key = read_overrides(compose.loader, params, arguments)
    axes = {key: _choices(key, override) for key, override in overrides_by_key.items()}
    check_count(math.prod(map(len, axes.values())), "the sweep")
    varied_keys = [key for key, choices in axes.items() if len(choices) > 1]
    points: list[Point] = []
    faults: list[str] = []
    for overrides in itertools.product(*axes.values()):
        values = dict(zip(axes, overrides, strict=True))
        varied = {key: values[key].partition("=")[2] for key in varied_keys}
        try:
            points.append(Point(overrides, varied, compose(overrides)))
        except Exception as error:  # a choice that does not exist raises ValueError, others Hydra's own
            faults.append(explain(error))
    raise_together(faults)
    return points


def check_examples(points: Iterable[Point]) -> None:
    """Read the examples of all points, before what is slow to import; raises UserError with the faults of all."""
    from recurrent_cells.data.examples import load_examples

    faults: list[str] = []
    for point in points:
        try:
            load_examples(point.config.data)
        except UserError as error:
            faults.append(str(error))
    raise_together(faults)


def raise_together(faults: Iterable[str], limit: int = 6) -> None:
    """One UserError for all faults, each said once.

    Raises:
        UserError: if there are any.
    """
    counts: dict[str, int] = {}
    for fault in faults:
        counts[fault] = counts.get(fault, 0) + 1
    if not counts:
        return
    lines = [fault + (f" ({count} trials)" if count > 1 else "") for fault, count in counts.items()]
    if len(lines) > limit:
        lines = [*lines[:limit], f"… and {len(lines) - limit} more faults"]
    raise UserError("\n".join(lines))


def read_overrides(
    config_loader: ConfigLoader, params: Mapping[str, str], arguments: Sequence[str]
) -> dict[str, Override]:
    """The overrides of a sweep by key, those of the command line in the place of `hydra.sweeper.params`.

    Raises:
        UserError: if a range is endless, or among `params` is what a whole sweep has one value of.
    """
    if of_all := [key for key in params if key.startswith((*OF_THE_WHOLE_SWEEP, "hydra"))]:
        raise UserError(f"{of_all[0]}={params[of_all[0]]}: no choice of a trial; give it outside phases and params")
    known = {key for key, _ in schema_fields()}
    lines = [f"{key}={value}" for key, value in params.items()] + [_plain(it, known) for it in arguments]
    parsed = OverridesParser.create(config_loader=config_loader).parse_overrides(lines)
    for override in parsed:
        if isinstance(sweep := override.value(), RangeSweep):
            check_count(_length(sweep, str(override.input_line)), str(override.input_line))
    return {override.get_key_element(): override for override in parsed}


def _plain(argument: str, known: Collection[str]) -> str:
    """`KEY=VALUE` for `++KEY=VALUE` if it is a known key, of which both mean the same."""
    plain = argument.removeprefix("++")
    return plain if plain.partition("=")[0] in known else argument


def check_count(count: int, what: str) -> None:
    """Raises UserError if a sweep has more trials than are planned at once."""
    if count > MOST_TRIALS:
        raise UserError(f"{what[:80]}: more than {MOST_TRIALS:,} trials, the most of a sweep; several sweeps do more")


def _length(sweep: RangeSweep, given: str) -> int:
    """The values of a range, counted without making them."""
    start, stop, step = sweep.start, sweep.stop, sweep.step
    numbers = [it for it in (start, stop, step) if it is not None and (isinstance(it, int) or math.isfinite(it))]
    if start is None or stop is None or len(numbers) < 3 or step == 0:
        raise UserError(f"{given}: allowed is range(START,STOP,STEP) in finite numbers, the step not 0")
    count = -(-(stop - start) // step)
    return int(max(0, count)) if math.isfinite(count) else MOST_TRIALS + 1


def as_text(key: str, override: Override) -> str:
    """An override of one value as Hydra reads it."""
    if override.is_delete():
        return override.input_line or key
    return f"{key}={override.get_value_element_as_str()}"


def _choices(key: str, override: Override) -> list[str]:
    """The overrides of one value that an override gives a grid to choose from."""
    if not override.is_sweep_override():
        return [as_text(key, override)]
    if not override.is_discrete_sweep():
        raise UserError(
            f"{override.input_line}: a grid has no intervals; give choices (a,b or range(0,3)) "
            f"or a sampler (hydra/sweeper=optuna)"
        )
    if key.startswith(OF_THE_WHOLE_SWEEP):
        raise UserError(f"{override.input_line}: a sweep has one value of it; give one")
    return [f"{key}={value}" for value in override.sweep_string_iterator()]


@dataclass
class _Composed:
    """A tree in which values of certain keys are set, whether others refer to them, and its first typed config."""

    tree: DictConfig
    refers: bool
    config: Config | None = None


class Composer:
    """Composes configs with Hydra once per combination of groups, and sets the other values on what that gives.

    Hydra composes about twenty configs a second; a thousand seeds of one network need one composition.
    """

    def __init__(self, loader: ConfigLoader, master: DictConfig) -> None:
        self.loader = loader
        self._master = master
        self._parser = OverridesParser.create(config_loader=loader)
        self._trees: dict[tuple[str, ...], DictConfig] = {}
        self._composed: dict[tuple[tuple[str, ...], tuple[str, ...]], _Composed] = {}
        self._parsed: dict[str, tuple[Override, bool]] = {}
        self._groups: dict[str, bool] = {}

    def __call__(self, overrides: Sequence[str]) -> Config:
        """The config of some overrides, checked.

        Raises:
            Exception: if they make no config; `explain` says why.
        """
        parsed = [self._parse(override) for override in overrides]
        groups = tuple(text for text, (_, structural) in zip(overrides, parsed, strict=True) if structural)
        values = [override for override, structural in parsed if not structural]
        keys = tuple(override.key_or_group for override in values)
        composed = self._composed.get((groups, keys)) or self._compose(groups, keys)
        for override in values:
            OmegaConf.update(composed.tree, override.key_or_group, override.value(), merge=True)
        if composed.config is None or composed.refers or "${" in "".join(overrides):
            composed.config = typed(composed.tree)
        config = copy.deepcopy(composed.config)
        for override in values:
            _set(config, override.key_or_group, OmegaConf.select(composed.tree, override.key_or_group))
        return checked(config)

    def _compose(self, groups: tuple[str, ...], keys: tuple[str, ...]) -> _Composed:
        if groups not in self._trees:
            tree = self.loader.load_sweep_config(self._master, list(groups))
            OmegaConf.set_struct(tree, False)
            del tree["hydra"]
            OmegaConf.set_struct(tree, True)
            self._trees[groups] = tree
        tree = copy.deepcopy(self._trees[groups])
        return self._composed.setdefault((groups, keys), _Composed(tree, _refers(tree, keys)))

    def _parse(self, text: str) -> tuple[Override, bool]:
        """An override and whether it changes which groups are composed, not only a value; asked of Hydra once."""
        if text not in self._parsed:
            override = self._parser.parse_override(text)
            self._parsed[text] = override, self._is_structural(override)
        return self._parsed[text]

    def _is_structural(self, override: Override) -> bool:
        return (
            override.is_add()
            or override.is_force_add()
            or override.is_delete()
            or override.package is not None
            or isinstance(override.value(), dict)  # merged with what there is
            or self._is_group(override.key_or_group)
        )

    def _is_group(self, key: str) -> bool:
        """Asked of Hydra once a key: it looks into every folder of the search path."""
        if key not in self._groups:
            self._groups[key] = bool(self.loader.get_group_options(key))
        return self._groups[key]


def _refers(tree: DictConfig, keys: Sequence[str]) -> bool:
    """Whether a value of a tree may be made of values of some keys: it refers to their sections, or to no section."""
    text = str(tree)
    sections = re.findall(r"\$\{(\w+)[.}]", text)
    return text.count("${") > len(sections) or any(key.partition(".")[0] in sections for key in keys)


def _set(config: Config, key: str, value: Any) -> None:
    """Set the value of a dotted key, as OmegaConf has it, in a typed config."""
    section, _, name = key.rpartition(".")
    owner = attrgetter(section)(config) if section else config
    value = OmegaConf.to_object(value) if OmegaConf.is_config(value) else value
    if isinstance(owner, dict):  # model.options
        owner[name] = value
    else:
        setattr(owner, name, value)
