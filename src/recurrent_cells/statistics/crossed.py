"""Seeds and test examples together: what other seeds would change, and what other examples of the kind would.

Every seed of a configuration is tested on the same examples, as those of all others are. The error of a difference
is then that of the seeds, which includes chance within each example, and that of the examples: how much they differ
in which configuration they suit.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import isnan, nan

import numpy as np
from numpy.typing import NDArray

from recurrent_cells.statistics.comparisons import ALPHA, Comparison
from recurrent_cells.statistics.studentized import critical

Floats = NDArray[np.float64]


def on_other_examples(pairs: Sequence[Comparison], outcomes: Mapping[str, NDArray]) -> list[Comparison]:
    """The pairs of two seeds or more, with intervals for other seeds and other examples, without p.

    Args:
        pairs: with intervals for other seeds.
        outcomes: configuration → outcome of each of its seeds on each example (seeds, examples), the examples and
            their order being the same for all; their mean is the metric.
    """
    parts = {name: _parts(found) for name, found in outcomes.items() if len(found) > 1}
    return [_wider(pair, parts) for pair in pairs if pair.better in parts and pair.worse in parts]


def _parts(outcomes: NDArray) -> tuple[Floats, float]:
    """The mean of each example over seeds, and the part of its variance that is chance."""
    return outcomes.mean(axis=0), float(outcomes.var(axis=0, ddof=1).mean()) / len(outcomes)


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


def _wider(pair: Comparison, parts: Mapping[str, tuple[Floats, float]]) -> Comparison:
    (first, first_chance), (second, second_chance) = parts[pair.better], parts[pair.worse]
    examples = float(examples_error(first - second, first_chance + second_chance))
    seeds = 0.0 if isnan(pair.half) else pair.half
    half = float(with_examples(seeds, examples, len(first), len(parts)))
    return replace(pair, half=half or nan, p=nan)
