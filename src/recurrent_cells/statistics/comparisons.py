"""What the values of a few seeds allow one to say: simultaneous intervals, and verdicts that agree with them.

All pairs have intervals of one family: with a probability of 95 % each of them holds its true difference. They are
those of Games and Howell (1976), for groups of unequal variances and sizes, made wider where simulation shows that they
let too many false verdicts through (benchmarks/results/verdicts.md): with few seeds by more cautious degrees of
freedom, among many groups by a bound over the pairs (Tamhane's T2, 1979), in small families by room for skewed errors.
"""

import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special, stats

from recurrent_cells.statistics.studentized import critical, survival

ALPHA = 0.05
POWER = 0.8
MOST_SEEDS = 1000
# How far degrees of freedom lie from those of the smaller group (0) to Welch's (1).
TOWARDS_WELCH = 0.3
# The intervals are at least as wide as Tamhane's at so many times the level: his add up errors that mostly coincide.
LEVEL_OF_TAMHANE = 2
# How much wider intervals are for skewed errors, which with unequal variances do not cancel in a difference: chosen so
# that false verdicts stay within 5 % for up to twelve cells of 3 to 30 seeds (benchmarks/results/verdicts.md).
ROOM_FOR_SKEW = 2.5
# With so many seeds or fewer the cautious degrees of freedom leave room enough.
SEEDS_WITHOUT_ROOM = 2.75
# Values that differ by less, relative to their size, are equal but for rounding.
ROUNDING = 1e-9

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds; `sd` and `half`, half the 95 % interval, are NaN with one seed, and `half` without spread."""

    mean: float
    sd: float
    half: float
    count: int


@dataclass(frozen=True)
class Comparison:
    """Two configurations, `better` being the one with the better mean; all in the metric's own scale.

    Args:
        counts: the values of each.
        difference: by how much, 0 or more.
        half: half its interval, simultaneous over all that were compared; NaN where there is none, with fewer
            than two values of either, or without any spread: equal values tell of coarseness, not of certainty.
        p: after the same correction, below 0.05 just where the interval excludes 0: scaled up where the interval is
            of another level than 95 %.
    """

    better: str
    worse: str
    counts: tuple[int, int]
    difference: float = math.nan
    half: float = math.nan
    p: float = math.nan

    @property
    def is_separated(self) -> bool:
        return self.difference > self.half

    @property
    def most(self) -> float:
        """The largest difference, either way, that the data do not exclude."""
        return self.difference + self.half

    def is_within(self, margin: float) -> bool:
        """Whether they are equal within a margin: the whole interval lies between -margin and margin (TOST)."""
        return self.most < margin


def mean_interval(values: ArrayLike, groups: int = 1) -> tuple[Floats, Floats]:
    """Mean and half the 95 % interval of Student's t over the last axis: (…, n) → two of (…).

    Args:
        groups: of so many independent means all intervals hold together (Šidák).
    """
    array = np.asarray(values, dtype=float)
    n = array.shape[-1]
    if n < 2:
        return array.mean(axis=-1), np.full(array.shape[:-1], np.nan)
    alpha = _of_each(groups, ALPHA)
    half = stats.t.isf(alpha / 2, n - 1) * array.std(axis=-1, ddof=1) / math.sqrt(n)
    return array.mean(axis=-1), np.asarray(half)


def estimate(values: Sequence[float], groups: int = 1) -> Estimate:
    """Mean, standard deviation and interval of one value or more, one of so many groups that are compared."""
    mean, half = mean_interval(values, groups)
    sd = math.sqrt(_variance(np.asarray(values, dtype=float))) if len(values) > 1 else math.nan
    return Estimate(float(mean), sd, float(half) if sd > 0 else math.nan, len(values))


def one_more(values: Sequence[float]) -> tuple[float, float]:
    """Mean and half the 95 % interval of one more value of the same normal distribution; NaN with one value."""
    mean, half = mean_interval(values)
    return float(mean), float(half) * math.sqrt(len(values) + 1)


def share_interval(share: float, count: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share of `count` examples; it has a width where all are right, too."""
    z2 = float(stats.norm.isf(ALPHA / 2)) ** 2 / count
    middle = (share + z2 / 2) / (1 + z2)
    half = math.sqrt(z2 * share * (1 - share) + z2**2 / 4) / (1 + z2)
    return max(0.0, middle - half), min(1.0, middle + half)


def degrees_of_freedom(first: ArrayLike, second: ArrayLike, n: ArrayLike, m: ArrayLike) -> tuple[Floats, Floats]:
    """Of a difference of two means: Welch's, and the more cautious ones of the intervals.

    Args:
        first, second: estimated variances of the two means, (…), not both 0.
        n, m: the values behind each.
    """
    v, w = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
    fewer, others = np.asarray(n) - 1, np.asarray(m) - 1
    welch = (v + w) ** 2 / (v**2 / fewer + w**2 / others)
    least = np.minimum(fewer, others)
    return welch, np.asarray(least + TOWARDS_WELCH * (welch - least))


def half_interval(
    first: ArrayLike, second: ArrayLike, n: ArrayLike, m: ArrayLike, groups: int, alpha: float = ALPHA
) -> Floats:
    """Half the simultaneous interval of a difference; as `degrees_of_freedom`, one pair of so many groups."""
    welch, cautious = degrees_of_freedom(first, second, n, m)
    range_of_all = critical(alpha, groups, cautious) / math.sqrt(2)
    of_pairs = -special.stdtrit(welch, _of_each(math.comb(groups, 2), LEVEL_OF_TAMHANE * alpha) / 2)
    bar = np.maximum(range_of_all, of_pairs)
    return np.asarray(bar * room(n, m, groups) * np.sqrt(np.add(first, second)))


def family_p(
    difference: ArrayLike, first: ArrayLike, second: ArrayLike, n: ArrayLike, m: ArrayLike, groups: int
) -> Floats:
    """The level at which half the interval is as wide as the difference; as `half_interval`."""
    welch, cautious = degrees_of_freedom(first, second, n, m)
    t = np.abs(difference) / (room(n, m, groups) * np.sqrt(np.add(first, second)))
    of_range = survival(math.sqrt(2) * t, groups, cautious)
    of_pairs = _any_of(math.comb(groups, 2), 2 * special.stdtr(welch, -t))
    return np.asarray(np.maximum(of_range, of_pairs / LEVEL_OF_TAMHANE))


def _any_of(count: int, p: ArrayLike) -> Floats:
    """The probability of any of so many independent events of probability p (Šidák)."""
    return np.asarray(-np.expm1(count * np.log1p(-np.minimum(p, 1 - 1e-15))))


def _of_each(count: int, alpha: float) -> float:
    """What each of so many independent events may have for a probability of `alpha` that any of them occurs."""
    return -math.expm1(math.log1p(-alpha) / count)


def room(n: ArrayLike, m: ArrayLike, groups: int) -> Floats:
    """By what factor an interval is wider for errors that are skewed: least among many groups, where it is wide anyway.

    Room for few seeds is in the degrees of freedom, and with many seeds a mean is hardly skewed.
    """
    fewer = np.minimum(n, m)
    beyond = np.maximum(fewer - SEEDS_WITHOUT_ROOM, 0) / np.square(fewer)
    return np.asarray(1 + ROOM_FOR_SKEW * beyond / (groups - 1))


def compare(
    values: Mapping[str, Sequence[float]], higher_is_better: bool = True, alpha: float = ALPHA
) -> list[Comparison]:
    """Every pair of configurations, with intervals of which all hold together with a probability of 1 - alpha.

    Args:
        values: name → values over seeds, in any number; those with one value or none are compared with nothing.
    """
    groups = sum(len(found) > 1 for found in values.values())
    return [
        _comparison(a, b, np.array(values[a]), np.array(values[b]), higher_is_better, groups, alpha)
        for a, b in combinations(values, 2)
    ]


def _comparison(
    a: str, b: str, first: Floats, second: Floats, higher_is_better: bool, groups: int, alpha: float
) -> Comparison:
    n, m = len(first), len(second)
    if min(n, m) == 0:
        return Comparison(a, b, (n, m))
    gain = float(first.mean() - second.mean()) * (1 if higher_is_better else -1)
    if gain < 0:
        a, b, first, second, n, m = b, a, second, first, m, n
    difference = abs(gain)
    if min(n, m) < 2:
        return Comparison(a, b, (n, m), difference)
    v, w = _variance(first) / n, _variance(second) / m
    if v + w == 0:
        return Comparison(a, b, (n, m), difference)
    half = float(half_interval(v, w, n, m, groups, alpha))
    p = min(1.0, float(family_p(difference, v, w, n, m, groups)) * ALPHA / alpha)
    return Comparison(a, b, (n, m), difference, half, p)


def _variance(values: Floats) -> float:
    """0 for values that are equal but for rounding."""
    variance = float(values.var(ddof=1))
    return 0.0 if math.sqrt(variance) <= ROUNDING * float(np.abs(values).max()) else variance


def compare_paired(values: Mapping[str, Mapping[str, float]], higher_is_better: bool = True) -> list[Comparison]:
    """Every pair by their differences on each of the data blocks that all have.

    Args:
        values: name → block → value. `p` and `half`, corrected for the number of pairs (Šidák), say what other blocks
            of the kind would change.
    """
    shared = [block for block in next(iter(values.values())) if all(block in found for found in values.values())]
    sign, count, of_pairs = (1 if higher_is_better else -1), len(shared), math.comb(len(values), 2)
    pairs = []
    for a, b in combinations(values, 2):
        gains = sign * np.array([values[a][block] - values[b][block] for block in shared])
        if count and gains.mean() < 0:
            a, b, gains = b, a, -gains
        difference = float(gains.mean()) if count else math.nan
        size = max((abs(values[name][block]) for name in (a, b) for block in shared), default=0.0)
        error = float(gains.std(ddof=1)) / math.sqrt(count) if count > 1 else 0.0
        if error <= ROUNDING * size:
            pairs.append(Comparison(a, b, (count, count), difference))
            continue
        half = float(stats.t.isf(_of_each(of_pairs, ALPHA) / 2, count - 1)) * error
        p = float(_any_of(of_pairs, 2 * stats.t.sf(difference / error, count - 1)))
        pairs.append(Comparison(a, b, (count, count), difference, half, p))
    return pairs


def seeds_needed(
    difference: float, first_sd: float, second_sd: float, groups: int = 2, power: float = POWER
) -> int | None:
    """Seeds of each with which a true difference that is stated beforehand is found so often: four times out of five.

    None if that is more than 1,000, or if it cannot be said.

    Args:
        first_sd, second_sd: standard deviations over seeds, not both 0.
    """
    if not difference > 0 or not 0 < first_sd + second_sd < math.inf:
        return None
    counts = range(2, MOST_SEEDS + 1)  # power grows with the number of seeds
    place = bisect_left(
        counts, True, key=lambda n: _power(difference, first_sd**2 / n, second_sd**2 / n, n, groups) >= power
    )
    return counts[place] if place < len(counts) else None


def _power(difference: float, first: float, second: float, n: int, groups: int) -> float:
    """Of finding a difference with so many values on either side, given the variances of the means."""
    error = math.sqrt(first + second)
    welch, _ = degrees_of_freedom(first, second, n, n)
    bar = float(half_interval(first, second, n, n, groups)) / error
    shift = difference / error
    # far beyond the bar it is certain, and the non-central t loses its digits
    return float(stats.nct.sf(bar, float(welch), shift)) if shift < 30 + bar else 1.0
