"""How good the best of a random search is expected to be, by how many trials it has."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import gammaln

Floats = NDArray[np.float64]

LOW, HIGH = 0.1, 0.9


@dataclass(frozen=True)
class BestOf:
    """The best of each number of trials: its expectation, and what it exceeds in nine and in one of ten searches."""

    mean: Floats
    low: Floats
    high: Floats


def best_of(values: ArrayLike, counts: ArrayLike, higher_is_better: bool = True) -> BestOf:
    """The best of so many trials, drawn from those of a search that proposed each without regard to the others.

    Drawn without replacement, which leaves no bias: Tang et al. (2020) on the curves of Dodge et al. (2019).

    Args:
        values: the validation value of each trial (N,).
        counts: numbers of trials from 1 to N (n,).
    """
    sign = 1.0 if higher_is_better else -1.0
    ordered = np.sort(sign * np.asarray(values, dtype=float))
    n, rank = np.asarray(counts, dtype=float)[:, None], np.arange(1, len(ordered) + 1)
    none_above = np.where(rank >= n, np.exp(_log_choose(np.maximum(rank, n), n) - _log_choose(len(ordered), n)), 0.0)
    mean = np.diff(none_above, prepend=0.0, axis=1) @ ordered
    low, high = (ordered[np.argmax(none_above >= share - 1e-9, axis=1)] for share in (LOW, HIGH))
    return BestOf(sign * mean, sign * low, sign * high)


def _log_choose(of: ArrayLike, count: ArrayLike) -> Floats:
    of, count = np.asarray(of, dtype=float), np.asarray(count, dtype=float)
    return np.asarray(gammaln(of + 1) - gammaln(count + 1) - gammaln(of - count + 1))
