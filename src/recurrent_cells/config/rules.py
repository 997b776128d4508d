"""What the value of a key may be."""

import math
import re
import sys
from collections.abc import Callable, Mapping
from typing import Any

from recurrent_cells.tables import Table


class Rule:
    """A check of a value and the words for it, which may be known only when asked for.

    Args:
        keywords: what JSON Schema can say of the rule.
    """

    def __init__(
        self, allows: Callable[[Any], bool], words: str | Callable[[], str], keywords: Mapping[str, Any] | None = None
    ) -> None:
        self.allows, self.keywords = allows, keywords or {}
        self._words = words

    @property
    def words(self) -> str:
        return self._words if isinstance(self._words, str) else self._words()


def one_of(*choices: str) -> Rule:
    return Rule(lambda value: value in choices, f"one of {', '.join(choices)}", {"enum": list(choices)})


def name_in(table: Table, *others: str) -> Rule:
    """A name in a table, those of extensions included, or one of `others`."""
    return Rule(lambda value: value in others or value in table, lambda: f"one of {', '.join([*others, *table.names])}")


def at_least(low: int) -> Rule:
    return Rule(lambda value: _is_integer(value) and value >= low, f"an integer of at least {low}", {"minimum": low})


def between(low: int, high: int) -> Rule:
    keywords = {"minimum": low, "maximum": high}
    return Rule(lambda value: _is_integer(value) and low <= value <= high, f"an integer from {low} to {high}", keywords)


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def number(low: float, high: float = math.inf, above: bool = False, below: bool = False) -> Rule:
    """A finite number from `low` to `high`; `above` and `below` leave the ends out."""

    def allows(value: Any) -> bool:
        return (
            (_is_integer(value) or isinstance(value, float))
            and abs(value) <= sys.float_info.max
            and (value > low if above else value >= low)
            and (value < high if below else value <= high)
        )

    words = f"a number {'above' if above else 'of at least'} {low:g}"
    keywords = {"exclusiveMinimum" if above else "minimum": low}
    if high != math.inf:
        words += f" and {'below' if below else 'at most'} {high:g}"
        keywords["exclusiveMaximum" if below else "maximum"] = high
    return Rule(allows, words, keywords)


def seconds_of(time: str) -> float:
    """`90s`, `20min`, `1.5h` or `1h30min` in seconds; raises ValueError for anything else."""
    parts = re.fullmatch(r"(?:([\d.]+)h)?(?:([\d.]+)min)?(?:([\d.]+)s)?", time.replace(" ", ""))
    if parts is None or not time.strip():
        raise ValueError(time)
    return sum(float(part or 0) * unit for part, unit in zip(parts.groups(), (3600, 60, 1), strict=True))


def _is_time(value: str) -> bool:
    try:
        return 0 < seconds_of(value) < math.inf
    except ValueError:
        return False


A_TIME = Rule(_is_time, "a time above 0 such as 90s, 20min or 1h30min")


def or_null(rule: Rule) -> Rule:
    return Rule(lambda value: value is None or rule.allows(value), lambda: f"{rule.words}, or null", rule.keywords)
