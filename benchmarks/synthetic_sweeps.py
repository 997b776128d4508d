"""Synthetic sweeps whose truth is known, and the tests that are tried on them."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr

from recurrent_cells.statistics.comparisons import ALPHA, degrees_of_freedom, half_interval
from recurrent_cells.statistics.studentized import critical

Array = NDArray[np.float64]
Bools = NDArray[np.bool_]

# Standard deviations over seeds of one cell and the others, as measured on the default data: 2.66 and 0.77 points.
RATIO = 3.5
SKEW, MUCH_SKEW = 0.5, 1.0  # of log-normal errors: skewnesses of 1.75 and 6.2


@dataclass(frozen=True)
class Errors:
    """How values scatter over seeds: standard deviations of the cells, and how skewed log-normal errors are."""

    name: str
    spread: Callable[[int], Array]
    skew: float = 0.0


def one_of_many(cells: int) -> Array:
    return np.array([RATIO, *[1.0] * (cells - 1)])


EQUAL = Errors("equal", np.ones)
UNEQUAL = Errors(f"one {RATIO} times", one_of_many)
GRADED = Errors("1 to 5", lambda cells: np.geomspace(1, 5, cells))
SKEWED = Errors("skewed, equal", np.ones, SKEW)
BOTH = Errors(f"skewed, one {RATIO} times", one_of_many, SKEW)
MUCH = Errors(f"much skewed, one {RATIO} times", one_of_many, MUCH_SKEW)
ALL_ERRORS = (EQUAL, UNEQUAL, GRADED, SKEWED, BOTH)


def draw(random: np.random.Generator, errors: Errors, sweeps: int, cells: int, seeds: int) -> Array:
    """Values of mean 0: (sweeps, cells, seeds)."""
    found = random.normal(size=(sweeps, cells, seeds))
    if errors.skew:
        variance = math.exp(errors.skew**2)
        found = (np.exp(errors.skew * found) - math.sqrt(variance)) / math.sqrt(variance * (variance - 1))
    return found * errors.spread(cells)[:, None]


class Pairs:
    """The differences of all pairs of cells and what is needed to judge them, each (sweeps, pairs)."""

    def __init__(self, values: Array) -> None:
        self.values, (_, self.cells, self.seeds) = values, values.shape
        self.a, self.b = (list(side) for side in zip(*combinations(range(self.cells), 2), strict=True))
        means, errors = values.mean(axis=-1), values.var(axis=-1, ddof=1) / self.seeds
        self.gains = means[:, self.a] - means[:, self.b]
        self.first, self.second, self.pooled = errors[:, self.a], errors[:, self.b], errors.mean(axis=-1)

    def half(self, alpha: float = ALPHA) -> Array:
        return half_interval(self.first, self.second, self.seeds, self.seeds, self.cells, alpha)


def ours(pairs: Pairs) -> Bools:
    return np.abs(pairs.gains) > pairs.half()


def cautious(pairs: Pairs) -> Bools:
    return _range_of_all(pairs, degrees_of_freedom(pairs.first, pairs.second, pairs.seeds, pairs.seeds)[1])


def games_howell(pairs: Pairs) -> Bools:
    return _range_of_all(pairs, degrees_of_freedom(pairs.first, pairs.second, pairs.seeds, pairs.seeds)[0])


def _range_of_all(pairs: Pairs, df: Array) -> Bools:
    bar = critical(ALPHA, pairs.cells, df) / math.sqrt(2)
    return np.abs(pairs.gains) > bar * np.sqrt(pairs.first + pairs.second)


def tukey(pairs: Pairs) -> Bools:
    bar = critical(ALPHA, pairs.cells, pairs.cells * (pairs.seeds - 1)) * np.sqrt(pairs.pooled)
    return np.abs(pairs.gains) > bar[:, None]


def welch_holm(pairs: Pairs) -> Bools:
    welch, _ = degrees_of_freedom(pairs.first, pairs.second, pairs.seeds, pairs.seeds)
    return holm(2 * stdtr(welch, -np.abs(pairs.gains) / np.sqrt(pairs.first + pairs.second)))


def paired_holm(pairs: Pairs) -> Bools:
    differences = pairs.values[:, pairs.a] - pairs.values[:, pairs.b]
    error = differences.std(axis=-1, ddof=1) / math.sqrt(pairs.seeds)
    return holm(2 * stdtr(pairs.seeds - 1, -np.abs(pairs.gains) / error))


def holm(p: Array) -> Bools:
    order = np.argsort(p, axis=-1)
    bars = ALPHA / (p.shape[-1] - np.arange(p.shape[-1]))
    below = np.logical_and.accumulate(np.take_along_axis(p, order, axis=-1) < bars, axis=-1)
    separated = np.empty_like(below)
    np.put_along_axis(separated, order, below, axis=-1)
    return separated


TESTS = {
    "here": ours,
    "cautious df alone": cautious,
    "Games–Howell": games_howell,
    "Tukey": tukey,
    "Welch + Holm": welch_holm,
    "paired t + Holm": paired_holm,
}
