"""What the value of a key may be."""

import math
from collections.abc import Callable
from typing import Any

from recurrent_cells.tables import Table


class Rule:
    """A check of a value and the words for it, which may be known only when asked for."""

    def __init__(self, allows: Callable[[Any], bool], words: str | Callable[[], str]) -> None:
        self.allows = allows
        self._words = words

    @property
    def words(self) -> str:
        return self._words if isinstance(self._words, str) else self._words()


def one_of(*choices: str) -> Rule:
    return Rule(lambda value: value in choices, f"one of {', '.join(choices)}")


def name_in(table: Table, *others: str) -> Rule:
    """A name in a table, those of extensions included, or one of `others`."""
    return Rule(lambda value: value in others or value in table, lambda: f"one of {', '.join([*others, *table.names])}")


def at_least(low: int) -> Rule:
    return Rule(lambda value: value >= low, f"an integer of at least {low}")


def between(low: int, high: int) -> Rule:
    return Rule(lambda value: low <= value <= high, f"an integer from {low} to {high}")


def number(low: float, high: float = math.inf, above: bool = False, below: bool = False) -> Rule:
    """A finite number from `low` to `high`; `above` and `below` leave the ends out."""

    def allows(value: float) -> bool:
        return (
            math.isfinite(value)
            and (value > low if above else value >= low)
            and (value < high if below else value <= high)
        )

    words = f"a number {'above' if above else 'of at least'} {low:g}"
    if high != math.inf:
        words += f" and {'below' if below else 'at most'} {high:g}"
    return Rule(allows, words)


def or_null(rule: Rule) -> Rule:
    return Rule(lambda value: value is None or rule.allows(value), lambda: f"{rule.words}, or null")
