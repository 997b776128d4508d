"""Seeds and test examples together: what other seeds would change, and what other examples of the kind would.

Every seed of a configuration is tested on the same examples, as those of all others are. The error of a difference
is then that of the seeds, which includes chance within each example, and that of the examples: how much they differ
in which configuration they suit.
"""

from collections.abc import Mapping
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from recurrent_cells.statistics.comparisons import ALPHA, Comparison, half_interval
from recurrent_cells.statistics.studentized import critical

Floats = NDArray[np.float64]


def compare_crossed(outcomes: Mapping[str, NDArray], higher_is_better: bool = True) -> list[Comparison]:
    """Every pair, with intervals for other seeds and other examples, without p.

    Args:
        outcomes: configuration → outcome of each of its seeds on each example (seeds, examples), the examples and
            their order being the same for all; their mean is the metric.
    """
    tested = {name: found for name, found in outcomes.items() if len(found) > 1}
    parts = {name: _parts(found) for name, found in tested.items()}
    return [_comparison(a, b, parts, higher_is_better) for a, b in combinations(tested, 2)]


def _parts(outcomes: NDArray) -> tuple[int, Floats, float, float]:
    """The number of seeds, the mean of each example, the error of the mean over seeds, and of an example's mean."""
    count = len(outcomes)
    error = float(outcomes.mean(axis=1).var(ddof=1)) / count
    return count, outcomes.mean(axis=0), error, float(outcomes.var(axis=0, ddof=1).mean()) / count


def examples_error(gains: NDArray, within: NDArray | float) -> Floats:
    """The variance of a mean difference from the choice of examples: gains (…, examples), within (…) → (…).

    Args:
        gains: the difference of each example's means over seeds.
        within: the part of their variance that is chance, which the error of the seeds has already.
    """
    return np.asarray(np.maximum(gains.var(axis=-1, ddof=1) - within, 0) / gains.shape[-1])


def with_examples(seeds: Floats | float, examples: Floats | float, count: int, groups: int) -> Floats:
    """Half the simultaneous interval for other seeds and examples: (…) → (…).

    Args:
        seeds: half the interval for other seeds.
        examples: the variance from the choice of so many examples.
    """
    # in quadrature: with joint degrees of freedom it is too narrow wherever few seeds happen to agree
    return np.asarray(np.hypot(seeds, critical(ALPHA, groups, count - 1) * np.sqrt(np.divide(examples, 2))))


def _comparison(
    a: str, b: str, parts: Mapping[str, tuple[int, Floats, float, float]], higher_is_better: bool
) -> Comparison:
    n, first, v, v_within = parts[a]
    m, second, w, w_within = parts[b]
    gains = (first - second) * (1 if higher_is_better else -1)
    if gains.mean() < 0:
        a, b, n, m, v, w, gains = b, a, m, n, w, v, -gains
    difference = float(gains.mean())
    examples = float(examples_error(gains, v_within + w_within))
    if v + w + examples == 0:
        return Comparison(a, b, (n, m), difference)
    seeds = half_interval(v, w, n, m, len(parts)) if v + w else 0.0
    return Comparison(a, b, (n, m), difference, float(with_examples(seeds, examples, len(gains), len(parts))))
