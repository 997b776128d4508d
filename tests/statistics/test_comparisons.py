"""Intervals and tests: against scipy, by hand, and by simulation."""

import math
from itertools import combinations

import numpy as np
import pytest
from scipy import stats

from recurrent_cells.statistics.comparisons import (
    ALPHA,
    compare,
    estimate,
    holm,
    mean_interval,
    paired_p,
    seeds_needed,
)


def by_seed(*values: float) -> dict[int, float]:
    return dict(enumerate(values))


def test_an_interval_by_hand():
    found = estimate([1.0, 2.0, 3.0])
    assert (found.mean, found.sd, found.count) == (2.0, 1.0, 3)
    assert found.half == pytest.approx(4.302653 / math.sqrt(3), abs=1e-6)  # t of two degrees of freedom, tables


def test_an_interval_as_scipy_has_it():
    values = np.random.default_rng(0).normal(size=7)
    low, high = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    found = estimate(list(values))
    assert (found.mean - found.half, found.mean + found.half) == pytest.approx((low, high))


def test_one_value_has_no_interval():
    found = estimate([0.5])
    assert found.mean == 0.5
    assert math.isnan(found.sd)
    assert math.isnan(found.half)


def test_the_paired_test_as_scipy_has_it():
    random = np.random.default_rng(1)
    a, b = random.normal(size=(2, 6))
    assert paired_p(a - b) == pytest.approx(stats.ttest_rel(a, b).pvalue)


def test_differences_without_spread_prove_nothing():
    assert paired_p([0.002, 0.002, 0.002]) == 1
    assert paired_p([0.0, 0.0]) == 1


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == pytest.approx([1.0, 1.0])


def test_holm_counts_only_pairs_that_were_tested():
    assert holm([0.01, math.nan, 0.02]) == pytest.approx([0.02, math.nan, 0.02], nan_ok=True)


@pytest.mark.parametrize(
    ("effect", "seeds"),
    [(1.0, 10), (0.5, 34), (0.8, 15)],  # the tables of G*Power: paired t-test, two-sided 0.05, power 0.8
)
def test_seeds_needed_as_published(effect, seeds):
    assert seeds_needed(effect) == seeds


def test_seeds_needed_at_the_ends():
    assert seeds_needed(1e6, pairs=3) == 2
    assert seeds_needed(1e-6) is None
    assert seeds_needed(0.0) is None
    assert seeds_needed(math.nan) is None


def test_no_true_difference_is_rarely_called_better():
    random = np.random.default_rng(2)
    values = random.normal(0.97, 0.004, size=(2000, 3, 5))  # sweeps, cells, seeds
    pairs = combinations(range(3), 2)
    p = np.stack([paired_p(values[:, a] - values[:, b]) for a, b in pairs], axis=-1)
    called_better = (holm(p) < ALPHA).any(axis=-1)
    assert 0.01 < called_better.mean() <= 0.06
    for sweep in range(0, 2000, 100):  # the same of one sweep
        found = compare({str(cell): by_seed(*values[sweep, cell]) for cell in range(3)})
        assert any(comparison.is_separated for comparison in found) == called_better[sweep]


@pytest.mark.parametrize("seeds", [3, 5, 10])
def test_the_interval_covers_a_known_difference(seeds):
    random = np.random.default_rng(3)
    common = random.normal(0, 0.01, size=(2000, seeds))  # what a seed does to both
    a = 0.98 + common + random.normal(0, 0.002, size=(2000, seeds))
    b = 0.97 + common + random.normal(0, 0.004, size=(2000, seeds))
    mean, half = mean_interval(a - b)
    assert 0.93 <= (np.abs(mean - 0.01) <= half).mean() <= 0.97


def test_a_lower_loss_is_better():
    values = {"A": by_seed(0.30, 0.31), "B": by_seed(0.10, 0.12)}
    (found,) = compare(values, higher_is_better=False)
    assert found.better == "B"
    assert found.difference == pytest.approx(0.195)


def test_only_shared_seeds_are_compared():
    values = {"A": {0: 0.5, 1: 0.6, 2: 0.9}, "B": {1: 0.5, 2: 0.7, 3: 0.1}}
    (found,) = compare(values)
    assert found.seeds == (1, 2)
    assert found.difference == pytest.approx(0.15)
