"""What a search chooses from: ranges in Hydra's own syntax, their ends checked before anything starts."""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import IntervalSweep, Override, RangeSweep
from omegaconf import DictConfig

from src.config import as_typed, schema_fields, validated
from src.errors import UserError
from src.messages import explain
from src.sweeps.grid import OF_THE_WHOLE_SWEEP, Composer, Point, raise_together

LOG = "log"
# Significant digits of a sampled number: more would make names long and results no better.
DIGITS = 4
Value = str | float


@dataclass(frozen=True)
class Interval:
    """Numbers from `low` to `high`, both included; on a logarithmic scale, in steps, or only integers."""

    low: float
    high: float
    log: bool = False
    integer: bool = False
    step: float | None = None

    @property
    def ends(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys((self.text(self.low), self.text(self.high))))

    @property
    def steps(self) -> tuple[Value, ...]:
        """All its values, none if there are no steps."""
        if self.step is None:
            return ()
        count = round((self.high - self.low) / self.step) + 1
        return tuple(self.low + index * self.step for index in range(count))

    def text(self, value: Value) -> str:
        """A sampled number as it is used."""
        if self.integer:
            return str(int(value))
        rounded = float(f"{value:.{DIGITS}g}")
        return as_typed(min(max(rounded, self.low), self.high))

    def value(self, text: str) -> Value:
        return int(text) if self.integer else float(text)


@dataclass(frozen=True)
class Choices:
    """Values without an order, as one writes them on the command line."""

    values: tuple[str, ...]

    @property
    def ends(self) -> tuple[str, ...]:
        return self.values

    @property
    def steps(self) -> tuple[Value, ...]:
        return self.values

    def text(self, value: Value) -> str:
        return str(value)

    def value(self, text: str) -> Value:
        return text


Range = Interval | Choices


class Space:
    """The ranges of a search by key, and the overrides that all its trials share."""

    def __init__(self, compose: Composer, fixed: Sequence[str], ranges: Mapping[str, Range]) -> None:
        self._compose = compose
        self.fixed = tuple(fixed)
        self.ranges = dict(ranges)

    def point(self, texts: Mapping[str, str]) -> Point:
        """The trial of one value for each key.

        Raises:
            UserError: if its config will not do.
        """
        overrides = (*self.fixed, *(f"{key}={texts[key]}" for key in self.ranges))
        try:
            return Point(overrides, dict(texts), validated(self._compose(overrides)))
        except Exception as error:  # a choice that does not exist raises ValueError, others Hydra's own
            raise UserError(explain(error)) from None

    def texts(self, values: Mapping[str, Value]) -> dict[str, str]:
        """Sampled values as they are used."""
        return {key: range_.text(values[key]) for key, range_ in self.ranges.items()}

    def values(self, texts: Mapping[str, str]) -> dict[str, Value]:
        """Used values as a sampler knows them."""
        return {key: range_.value(texts[key]) for key, range_ in self.ranges.items()}

    def corners(self) -> list[Point]:
        """Every end and choice of each range, the other keys at their first; raises UserError as `point`, for all."""
        first = {key: range_.ends[0] for key, range_ in self.ranges.items()}
        points, faults = [], []
        for texts in _unique([first, *(first | {key: end} for key in self.ranges for end in self.ranges[key].ends)]):
            try:
                points.append(self.point(texts))
            except UserError as error:
                faults.append(str(error))
        raise_together(dict.fromkeys(faults))
        return points

    def grid(self, seed: int) -> list[dict[str, Value]]:
        """All combinations, shuffled by the seed.

        Raises:
            UserError: if a range is continuous.
        """
        continuous = [key for key, range_ in self.ranges.items() if not range_.steps]
        if continuous:
            raise UserError(
                f"hydra.sweeper.sampler=grid: {', '.join(continuous)} has no steps; "
                "give choices (a,b or range(0,3)), or another sampler"
            )
        combinations = product(*(range_.steps for range_ in self.ranges.values()))
        points = [dict(zip(self.ranges, values, strict=True)) for values in combinations]
        random.Random(seed).shuffle(points)
        return points

    def described(self) -> dict[str, dict[str, Any]]:
        """The ranges by key, sorted, as plain values."""
        return {key: asdict(self.ranges[key]) for key in sorted(self.ranges)}


def described_range(plain: Mapping[str, Any]) -> Range:
    """A range of `Space.described`."""
    return Choices(tuple(plain["values"])) if "values" in plain else Interval(**plain)


def read_space(
    config_loader: ConfigLoader, master: DictConfig, params: Mapping[str, str], arguments: Sequence[str]
) -> Space:
    """The space that the command line and `hydra.sweeper.params` describe, `arguments` replacing `params` by key.

    Raises:
        UserError: if there is no range, or one makes no sense.
    """
    parser = OverridesParser.create(config_loader=config_loader)
    fixed: dict[str, str] = {}
    ranges: dict[str, Range] = {}
    faults: list[str] = []
    for override in parser.parse_overrides([*(f"{key}={value}" for key, value in params.items()), *arguments]):
        key = override.get_key_element()
        for place in (fixed, ranges):
            place.pop(key, None)
        if not override.is_sweep_override():
            value = override.get_value_element_as_str()
            fixed[key] = (override.input_line or key) if override.is_delete() else f"{key}={value}"
            continue
        try:
            ranges[key] = _range(key, override)
        except UserError as error:
            faults.append(f"{override.input_line}: {error}")
    raise_together(faults)
    if not ranges:
        raise UserError("a search needs a range: KEY=interval(LOW,HIGH), int(interval(LOW,HIGH)), choice(A,B) or A,B")
    return Space(Composer(config_loader, master), tuple(fixed.values()), ranges)


def _range(key: str, override: Override) -> Range:
    if key.startswith(OF_THE_WHOLE_SWEEP):
        raise UserError("a search has one value of it; give one")
    if key == "seed":
        raise UserError("a search would find the luckiest seed; give one, and try what it finds with more in a sweep")
    sweep: Any = override.value()
    unknown = sorted(getattr(sweep, "tags", set()) - {LOG})
    if unknown:
        raise UserError(f"there is no tag {unknown[0]}; allowed is {LOG}")
    if isinstance(sweep, IntervalSweep):
        return _interval(key, sweep)
    if isinstance(sweep, RangeSweep):
        return _steps(sweep)
    choices = tuple(dict.fromkeys(override.sweep_string_iterator()))
    if LOG in getattr(sweep, "tags", set()):
        raise UserError(f"choices have no scale; the tag {LOG} is for intervals")
    if not choices:
        raise UserError("there is nothing to choose from")
    return Choices(choices)


def _interval(key: str, sweep: IntervalSweep) -> Interval:
    low, high, log = sweep.start, sweep.end, LOG in sweep.tags
    assert low is not None
    assert high is not None
    if not low < high:
        raise UserError("allowed is an interval that begins below its end")
    if log and low <= 0:
        raise UserError("allowed on a logarithmic scale is an interval that begins above 0")
    if isinstance(low, int) or key in _integers():
        if low != int(low) or high != int(high):
            raise UserError("allowed are integers as ends, the key has no others")
        return Interval(int(low), int(high), log, integer=True)
    return Interval(low, high, log)


def _steps(sweep: RangeSweep) -> Interval:
    values = sorted(sweep.range())
    if not values:
        raise UserError("the range is empty")
    if LOG in sweep.tags:
        raise UserError(f"a range has even steps; the tag {LOG} is for intervals")
    assert sweep.step is not None
    integer = all(isinstance(value, int) for value in values)
    return Interval(values[0], values[-1], integer=integer, step=abs(sweep.step))


def _integers() -> set[str]:
    return {key for key, item in schema_fields() if item.type in (int, int | None)}


def _unique(maps: Sequence[dict[str, str]]) -> Iterator[dict[str, str]]:
    seen = []
    for one in maps:
        if one not in seen:
            seen.append(one)
            yield one
