"""One range of a search, written in Hydra's own syntax."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any

from hydra.core.override_parser.types import IntervalSweep, Override, RangeSweep

from recurrent_cells.config.schema import as_typed, schema_fields
from recurrent_cells.errors import UserError
from recurrent_cells.sweeps.grid import OF_THE_WHOLE_SWEEP

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


def from_plain(plain: Mapping[str, Any]) -> Range:
    """A range from what `asdict` makes of it."""
    return Choices(tuple(plain["values"])) if "values" in plain else Interval(**plain)


def read_range(key: str, override: Override) -> Range:
    """The range that an override gives a key.

    Raises:
        UserError: if it makes no sense.
    """
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
    if not (isfinite(low) and isfinite(high) and low < high):
        raise UserError("allowed is an interval of finite numbers that begins below its end")
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
