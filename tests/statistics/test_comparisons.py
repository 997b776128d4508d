"""Intervals and verdicts: against SciPy, by hand, and by simulation."""

import math
import warnings

import numpy as np
import pytest
from scipy import stats

from recurrent_cells.statistics.comparisons import (
    ALPHA,
    compare,
    compare_paired,
    degrees_of_freedom,
    estimate,
    family_p,
    half_interval,
    mean_interval,
    room,
    seeds_needed,
    share_interval,
)
from recurrent_cells.statistics.studentized import survival


def test_an_interval_by_hand():
    found = estimate([1.0, 2.0, 3.0])
    assert (found.mean, found.sd, found.count) == (2.0, 1.0, 3)
    assert found.half == pytest.approx(4.302653 / math.sqrt(3), abs=1e-6)  # t of two degrees of freedom, tables


def test_an_interval_as_scipy_has_it():
    values = np.random.default_rng(0).normal(size=7)
    low, high = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    found = estimate(list(values))
    assert (found.mean - found.half, found.mean + found.half) == pytest.approx((low, high))


def test_intervals_of_several_means_hold_together():
    values = np.random.default_rng(4).normal(size=(4000, 5, 3))  # sweeps, configurations, seeds
    mean, half = mean_interval(values, groups=5)
    assert (np.abs(mean) <= half).all(axis=-1).mean() == pytest.approx(0.95, abs=0.011)


def test_one_value_has_no_interval():
    found = estimate([0.5])
    assert found.mean == 0.5
    assert math.isnan(found.sd)
    assert math.isnan(found.half)


def drawn(random, count):
    """Sizes, means and spreads of all kinds, some of them on a coarse grid, as accuracies are."""
    values = random.normal(random.normal(), random.choice([0.01, 1, 30]), size=count)
    return list(np.round(values, 2) if random.random() < 0.3 else values)


def test_welchs_statistic_and_degrees_of_freedom_as_scipy_has_them():
    random, tested = np.random.default_rng(5), 0
    for _ in range(600):
        a, b = (drawn(random, random.integers(2, 12)) for _ in range(2))
        if np.var(a) + np.var(b) < 1e-20:
            continue
        (found,) = compare({"a": a, "b": b})
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # where one side has no spread
            theirs = stats.ttest_ind(a, b, equal_var=False)
        welch, ours = degrees_of_freedom(np.var(a, ddof=1) / len(a), np.var(b, ddof=1) / len(b), len(a), len(b))
        assert welch == pytest.approx(theirs.df)
        assert min(len(a), len(b)) - 1 - 1e-9 <= ours <= welch + 1e-9
        assert found.difference == pytest.approx(abs(np.mean(a) - np.mean(b)))
        wider = room(len(a), len(b), groups=2)
        assert found.p == pytest.approx(2 * stats.t.sf(abs(theirs.statistic) / wider, ours), abs=1e-6)
        assert found.half == pytest.approx(
            stats.t.isf(ALPHA / 2, ours) * wider * found.difference / abs(theirs.statistic), rel=1e-5
        )
        tested += 1
    assert tested >= 500


@pytest.mark.parametrize("groups", [3, 4])
def test_with_welchs_degrees_of_freedom_it_is_games_and_howells_test(groups):
    random = np.random.default_rng(6)
    samples = [random.normal(scale=1 + scale, size=4 + scale) for scale in range(groups)]
    theirs = stats.tukey_hsd(*samples, equal_var=False)
    for a in range(groups):
        for b in range(a):
            errors = [samples[n].var(ddof=1) / len(samples[n]) for n in (a, b)]
            welch, _ = degrees_of_freedom(*errors, len(samples[a]), len(samples[b]))
            q = math.sqrt(2) * abs(theirs.statistic[a, b]) / math.sqrt(sum(errors))
            assert survival(q, groups, welch) == pytest.approx(theirs.pvalue[a, b], abs=1e-6)


def test_a_verdict_is_its_interval():
    random = np.random.default_rng(7)
    for _ in range(500):
        values = {str(n): drawn(random, random.integers(1, 6)) for n in range(random.integers(2, 5))}
        for found in compare(values, higher_is_better=bool(random.random() < 0.5)):
            assert found.is_separated == (found.p < ALPHA) == (found.difference - found.half > 0)
            assert math.isnan(found.half) == math.isnan(found.p)


@pytest.mark.parametrize(
    "values",
    [
        ([0.961, 0.961, 0.961], [0.98, 0.98, 0.98]),
        ([0.1 + 0.2, 0.3, 0.3], [0.9, 0.9, 0.9]),  # equal but for rounding
        ([1.0, 1.0], [1.0, 1.0]),
        ([0.9], [0.5]),
        ([0.9], [0.5, 0.6, 0.7]),
        ([], [0.5, 0.6]),
    ],
)
def test_without_spread_nothing_is_concluded(values):
    (found,) = compare(dict(zip("ab", values, strict=True)))
    assert not found.is_separated
    assert not found.is_within(1.0)
    assert math.isnan(found.half)


def test_one_side_without_spread_is_judged_by_the_other():
    (found,) = compare({"a": [1.0, 1.0, 1.0], "b": [0.90, 0.91, 0.92]})
    assert (found.better, found.is_separated) == ("a", True)
    wider = room(3, 3, groups=2)
    assert found.half == pytest.approx(stats.t.isf(ALPHA / 2, 2) * wider * 0.01 / math.sqrt(3), rel=1e-5)


def test_a_family_is_what_could_be_tested():
    alone = compare({"a": [1.0, 2.0, 3.0], "b": [2.0, 4.0, 7.0]})[0]
    beside = compare({"a": [1.0, 2.0, 3.0], "b": [2.0, 4.0, 7.0], "c": [1.0]})[0]
    assert beside == alone
    among = compare({"a": [1.0, 2.0, 3.0], "b": [2.0, 4.0, 7.0], "c": [1.0, 2.0]})[0]
    assert among.half > alone.half


def test_a_lower_loss_is_better():
    (found,) = compare({"A": [0.30, 0.31], "B": [0.10, 0.12]}, higher_is_better=False)
    assert found.better == "B"
    assert found.difference == pytest.approx(0.195)


def test_equal_within_a_margin():
    near, far = [0.980, 0.981, 0.979, 0.980], [0.9801, 0.9811, 0.9792, 0.9800]
    (found,) = compare({"near": near, "far": far})
    assert not found.is_separated
    assert found.is_within(0.005)
    assert not found.is_within(found.half)
    assert found.most == pytest.approx(found.difference + found.half)


@pytest.mark.parametrize("groups", [2, 3, 12, 40])
@pytest.mark.parametrize("alpha", [0.05, 0.004])
def test_p_is_the_level_at_which_an_interval_ends_at_0(groups, alpha):
    random = np.random.default_rng(10)
    first, second = random.exponential(size=(2, 200))
    n, m = random.integers(2, 20, size=(2, 200))
    half = half_interval(first, second, n, m, groups, alpha)
    assert family_p(half, first, second, n, m, groups) == pytest.approx(alpha, rel=2e-3)


def false_verdicts(values):
    """In what share of sweeps without true differences (sweeps, cells, seeds) a pair is separated."""
    _, cells, seeds = values.shape
    means, errors = values.mean(axis=-1), values.var(axis=-1, ddof=1) / seeds
    a, b = np.triu_indices(cells, 1)
    half = half_interval(errors[:, a], errors[:, b], seeds, seeds, cells)
    return (np.abs(means[:, a] - means[:, b]) > half).any(axis=-1).mean()


@pytest.mark.parametrize("cells", [12, 20, 40])
def test_false_verdicts_are_rare_among_many_configurations_of_few_seeds(cells):
    values = np.random.default_rng(11).normal(size=(1000, cells, 3)) * np.geomspace(1, 5, cells)[:, None]
    assert false_verdicts(values) < ALPHA + 2 * math.sqrt(ALPHA * (1 - ALPHA) / 1000)


@pytest.mark.parametrize("seeds", [3, 5, 8, 12, 18])
def test_false_verdicts_are_hardly_more_where_errors_are_skewed_and_of_unequal_variance(seeds):
    skewed = np.exp(0.5 * np.random.default_rng(12).normal(size=(20_000, 2, seeds))) - np.exp(0.125)
    assert false_verdicts(skewed * np.array([3.5, 1.0])[:, None]) < 0.055 + 2 * math.sqrt(ALPHA * (1 - ALPHA) / 20_000)


@pytest.mark.parametrize("spread", [(1, 1, 1), (3.5, 1, 1), (1, 2, 5)])
@pytest.mark.parametrize("seeds", [3, 5])
def test_false_verdicts_are_rare_whatever_the_variances(spread, seeds):
    values = np.random.default_rng(8).normal(size=(4000, 3, seeds)) * np.array(spread)[:, None]
    means, errors = values.mean(axis=-1), values.var(axis=-1, ddof=1) / seeds
    a, b = [0, 0, 1], [1, 2, 2]
    half = half_interval(errors[:, a], errors[:, b], seeds, seeds, groups=3)
    false = (np.abs(means[:, a] - means[:, b]) > half).any(axis=-1).mean()
    assert false < ALPHA + 3 * math.sqrt(ALPHA * (1 - ALPHA) / 4000)
    for sweep in range(0, 4000, 200):  # the same of one sweep
        found = compare({str(cell): list(values[sweep, cell]) for cell in range(3)})
        assert [pair.half for pair in found] == pytest.approx(half[sweep])


def test_a_difference_over_blocks_is_paired():
    blocks = {"x": 0.9, "y": 0.7, "z": 0.5}
    values = {"a": {name: value + 0.01 for name, value in blocks.items()}, "b": blocks | {"w": 0.1}}
    values["a"]["x"] += 0.001
    (found,) = compare_paired(values)
    assert (found.better, found.counts, found.is_separated) == ("a", (3, 3), True)
    gains = [values["a"][name] - blocks[name] for name in blocks]
    assert found.p == pytest.approx(stats.ttest_1samp(gains, 0).pvalue, abs=1e-6)
    (found,) = compare_paired({"a": {"x": 0.9}, "b": {"x": 0.8}})
    assert not found.is_separated


@pytest.mark.slow
def test_false_verdicts_over_few_blocks_are_rare_among_many():
    random, false = np.random.default_rng(13), 0
    for _ in range(300):
        values = random.normal(size=(8, 3)) * np.geomspace(1, 5, 8)[:, None]
        found = compare_paired({str(n): dict(zip("xyz", row, strict=True)) for n, row in enumerate(values)})
        false += any(pair.is_separated for pair in found)
        assert all(pair.is_separated == (pair.p < ALPHA) for pair in found)
    assert false / 300 < ALPHA + 2 * math.sqrt(ALPHA * (1 - ALPHA) / 300)


def test_seeds_for_a_stated_difference():
    # statsmodels 0.15, TTestIndPower: 17 of each for 1 sd; here more, as the intervals are cautious
    assert 17 <= seeds_needed(1.0, 1.0, 1.0) <= 20
    assert seeds_needed(1.0, 1.0, 1.0, groups=6) > seeds_needed(1.0, 1.0, 1.0, groups=3) > 20
    assert seeds_needed(1e6, 1.0, 1.0) == 2
    assert seeds_needed(1e-3, 1.0, 1.0) is None
    assert seeds_needed(1.0, 0.0, 0.0) is None
    assert seeds_needed(math.nan, 1.0, 1.0) is None


def test_so_many_seeds_do_find_it():
    needed = seeds_needed(1.0, 1.0, 0.3)
    random = np.random.default_rng(9)
    a, b = 1 + random.normal(size=(4000, needed)), random.normal(size=(4000, needed)) * 0.3
    half = half_interval(a.var(axis=-1, ddof=1) / needed, b.var(axis=-1, ddof=1) / needed, needed, needed, 2)
    assert (a.mean(axis=-1) - b.mean(axis=-1) > half).mean() == pytest.approx(0.8, abs=0.06)


def test_the_interval_of_a_share_is_wilsons_and_ends_with_one():
    assert share_interval(0.95, 100) == pytest.approx((0.8882, 0.9785), abs=1e-4)
    assert share_interval(1.0, 10) == pytest.approx((0.7225, 1.0), abs=1e-4)
    assert all(0 <= bound <= 1 for count in range(1, 200) for share in (0, 1) for bound in share_interval(share, count))
