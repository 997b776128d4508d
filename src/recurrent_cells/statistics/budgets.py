"""How good what a search finds is expected to be, by how many trials the search has."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import hypergeom

Floats = NDArray[np.float64]

LOW, HIGH = 0.1, 0.9


@dataclass(frozen=True)
class Found:
    """The value of the trial that is chosen, by the number of trials: its expectation and its first and last decile."""

    mean: Floats
    low: Floats
    high: Floats


def chosen_of(values: ArrayLike, ranks: ArrayLike, counts: ArrayLike) -> Found:
    """The value of the trial with the highest rank among so many that are drawn from a search's.

    The trials of the search were proposed without regard to one another. They are drawn without replacement, which
    leaves no bias: Tang et al. (2020) on the curves of Dodge et al. (2019), there for values that are their own ranks.
    Of equal ranks each is chosen as often.

    Args:
        values: of each trial (N,), which may have had no part in its rank.
        ranks: by which a trial is chosen (N,).
        counts: numbers of trials from 1 to N (n,).
    """
    values, count = np.asarray(values, dtype=float), np.asarray(counts, dtype=float)[:, None]
    _, level, sizes = np.unique(np.asarray(ranks), return_inverse=True, return_counts=True)
    at_most = np.cumsum(sizes)  # trials up to each level of rank
    none_above = hypergeom.pmf(count, len(values), at_most, count)
    of_level = np.diff(none_above, prepend=0.0, axis=1)
    weights = (of_level / sizes)[:, level]
    order = np.argsort(values)
    up_to = np.cumsum(weights[:, order], axis=1)
    low, high = (values[order][np.argmax(up_to >= share - 1e-9, axis=1)] for share in (LOW, HIGH))
    return Found(weights @ values, low, high)
