"""Looking at a sweep while it grows: seeds are added until each pair is decided, and false verdicts stay rare.

Of the 5 % that all verdicts together may be false, a part is spent at every look. What is spent up to n seeds depends
on n alone, not on how many more are allowed: a sweep that goes on later goes on with the same spending. The intervals
of a look hold for all pairs at once with a probability of one less what the look spends.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import ceil, isfinite

from recurrent_cells.statistics.comparisons import ALPHA, Comparison, compare

PLANNED = (3, 5, 8, 12, 18, 30)
# Beyond the planned looks each has so many times the seeds of the one before.
GROWTH = 1.5
# With so many seeds half of the 5 % is spent.
HALF_SPENT = 6


class Kind(StrEnum):
    """What is known of a pair."""

    BETTER = "better"
    EQUAL = "equal"
    OPEN = "open"


@dataclass(frozen=True)
class Decision:
    """A pair with its interval at the look that decided it, or at the last one; `seeds` is how many that look had."""

    comparison: Comparison
    kind: Kind
    seeds: int


@dataclass(frozen=True)
class Decisions:
    """What is decided after the looks that the values allow.

    Args:
        looks: the numbers of seeds at which was looked.
        wanted: the configurations of open pairs, which need more seeds: at least `next_look` of each.
        next_look: None if all is decided, or the most seeds do not reach the next look.
    """

    pairs: tuple[Decision, ...]
    looks: tuple[int, ...]
    wanted: tuple[str, ...]
    next_look: int | None


def spent(seeds: int) -> float:
    """The probability of a false verdict that is spent up to so many seeds: rises from 0 towards 0.05."""
    return ALPHA * seeds / (seeds + HALF_SPENT)


def planned_looks(first: int, most: int) -> tuple[int, ...]:
    """The numbers of seeds at which is looked: the first, then the planned ones above it, none above `most`."""
    later = [*PLANNED]
    while later[-1] < most:
        later.append(ceil(later[-1] * GROWTH))
    return tuple(n for n in (first, *(look for look in later if look > first)) if n <= most)


def decide(
    values: Mapping[str, Sequence[float]], margin: float, first: int, most: int, higher_is_better: bool = True
) -> Decisions:
    """Look at the values as often as they allow, and say of each pair whether it is decided.

    Args:
        values: configuration → values in the order in which its seeds were added, the first look's first; NaN for a
            seed that failed, which counts as used. A configuration none of whose pairs is open needs no more.
        margin: in the metric's own scale: a pair whose interval lies within it is equal.
        first: the seeds of the first look, 2 or more.
        most: the most seeds that a configuration may have.
    """
    pairs: dict[tuple[str, str], Decision] = {}
    taken: list[int] = []
    wanted, before = set(values), 0.0
    planned = planned_looks(first, most)
    for look in planned:
        if any(len(values[name]) < look for name in wanted):
            break
        seen = {name: [value for value in found[:look] if isfinite(value)] for name, found in values.items()}
        for comparison in compare(seen, higher_is_better, alpha=spent(look) - before):
            pair = (min(comparison.better, comparison.worse), max(comparison.better, comparison.worse))
            if pair not in pairs or pairs[pair].kind is Kind.OPEN:
                pairs[pair] = Decision(comparison, kind_of(comparison, margin), look)
        before = spent(look)
        taken.append(look)
        still = [found.comparison for found in pairs.values() if found.kind is Kind.OPEN]
        wanted = {name for found in still for name in (found.better, found.worse)}
        if not wanted:
            break
    reached = len(taken) == len(planned)
    return Decisions(
        tuple(pairs.values()),
        tuple(taken),
        tuple(name for name in values if name in wanted),
        None if reached or not wanted else planned[len(taken)],
    )


def stand(values: Mapping[str, Sequence[float]], higher_is_better: bool = True) -> tuple[int, list[Comparison]]:
    """How configurations stand while their seeds come: the seeds that all have, and each pair over these.

    The intervals hold for whoever looks after every seed: of all who do, at most 5 % ever see one that misses its true
    difference. With fewer than two seeds there are no pairs.

    Args:
        values: configuration → values in the order in which they came.
    """
    seeds = min(map(len, values.values()), default=0)
    if seeds < 2:
        return seeds, []
    alpha = spent(seeds) - (spent(seeds - 1) if seeds > 2 else 0)
    return seeds, compare({name: list(found[:seeds]) for name, found in values.items()}, higher_is_better, alpha)


def kind_of(comparison: Comparison, margin: float) -> Kind:
    """What the interval of a pair says."""
    if comparison.is_separated:
        return Kind.BETTER
    return Kind.EQUAL if comparison.is_within(margin) else Kind.OPEN
