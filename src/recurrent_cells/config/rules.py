"""What the value of a key may be."""

import math
import operator
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


def of_keywords(keywords: Mapping[str, Any]) -> Rule:
    """The rule that JSON Schema states with keywords: an enum, or a type and limits."""
    return Rule(
        lambda value: all(CHECKS[keyword](value, stated) for keyword, stated in keywords.items()),
        _in_words(keywords),
        keywords,
    )


def one_of(*choices: str) -> Rule:
    return of_keywords({"enum": list(choices)})


def name_in(table: Table, *others: str) -> Rule:
    """A name in a table, those of extensions included, or one of `others`."""
    return Rule(lambda value: value in others or value in table, lambda: f"one of {', '.join([*others, *table.names])}")


def at_least(low: int) -> Rule:
    return of_keywords({"type": "integer", "minimum": low})


def even(low: int) -> Rule:
    return of_keywords({"type": "integer", "minimum": low, "multipleOf": 2})


def between(low: int, high: int) -> Rule:
    return of_keywords({"type": "integer", "minimum": low, "maximum": high})


def number(low: float, high: float = math.inf, above: bool = False, below: bool = False) -> Rule:
    """A finite number from `low` to `high`; `above` and `below` leave the ends out."""
    highest = {} if high == math.inf else {"exclusiveMaximum" if below else "maximum": high}
    return of_keywords({"type": "number", "exclusiveMinimum" if above else "minimum": low} | highest)


def _is_of_type(value: Any, name: str) -> bool:
    if name == "boolean" or isinstance(value, bool):
        return name == "boolean" and isinstance(value, bool)
    if name == "integer":
        return isinstance(value, int)
    return isinstance(value, int | float) and abs(value) <= sys.float_info.max


# The check of a value for each keyword of JSON Schema; the type is stated, and so checked, before limits.
CHECKS: Mapping[str, Callable[[Any, Any], bool]] = {
    "enum": lambda value, choices: value in choices,
    "type": _is_of_type,
    "minimum": operator.ge,
    "exclusiveMinimum": operator.gt,
    "maximum": operator.le,
    "exclusiveMaximum": operator.lt,
    "multipleOf": lambda value, divisor: value % divisor == 0,
}
LIMITS = {
    "minimum": " of at least {:g}",
    "exclusiveMinimum": " above {:g}",
    "maximum": " and at most {:g}",
    "exclusiveMaximum": " and below {:g}",
}


def _in_words(keywords: Mapping[str, Any]) -> str:
    if "enum" in keywords:
        return f"one of {', '.join(keywords['enum'])}"
    if keywords["type"] == "boolean":
        return "true or false"
    if keywords["type"] == "number":
        return "a number" + "".join(words.format(keywords[it]) for it, words in LIMITS.items() if it in keywords)
    integer = "an even integer" if "multipleOf" in keywords else "an integer"
    if "maximum" in keywords:
        return f"{integer} from {keywords['minimum']} to {keywords['maximum']}"
    return f"{integer} of at least {keywords['minimum']}"


TRUE_OR_FALSE = of_keywords({"type": "boolean"})


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
