"""What the verdicts stand on, beside SciPy and statsmodels: 500 random data sets each, degenerate ones among them."""

import math
import warnings
from itertools import combinations

import numpy as np
import pytest
from scipy import stats

from recurrent_cells.statistics.comparisons import compare, degrees_of_freedom, estimate
from recurrent_cells.statistics.studentized import survival

SETS = 500
# Beyond this SciPy's integral of the studentised range, which statsmodels takes too, comes to 0 or far too little.
LARGEST = 1000


def data_sets(most_groups, seed):
    """Groups of all sizes and spreads, some on a coarse grid as accuracies are, some with equal values only."""
    random = np.random.default_rng(seed)
    for _ in range(SETS):
        sizes = random.integers(2, 12, size=random.integers(2, most_groups + 1))
        samples = [random.normal(random.normal(), random.choice([0.01, 1, 30]), size=n) for n in sizes]
        samples = [np.round(it, 2) if random.random() < 0.3 else it for it in samples]
        yield [np.full(len(it), it[0]) if random.random() < 0.1 else it for it in samples]


def games_howell(samples):
    """(a, b) → p by the package's studentised range with Welch's degrees of freedom; pairs without spread left out."""
    errors = [found.var(ddof=1) / len(found) for found in samples]
    found = {}
    for a, b in combinations(range(len(samples)), 2):
        if errors[a] + errors[b] > 1e-20:
            welch, _ = degrees_of_freedom(errors[a], errors[b], len(samples[a]), len(samples[b]))
            t = abs(samples[a].mean() - samples[b].mean()) / math.sqrt(errors[a] + errors[b])
            found[a, b] = float(survival(math.sqrt(2) * t, len(samples), welch)), t, float(welch)
    return found


@pytest.fixture(autouse=True)
def quiet_about_groups_without_spread():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        yield


def test_welchs_test_as_scipy_has_it():
    tested = 0
    for a, b in data_sets(2, seed=1):
        for _, t, welch in games_howell([a, b]).values():
            theirs = stats.ttest_ind(a, b, equal_var=False)
            assert (t, welch) == pytest.approx((abs(theirs.statistic), theirs.df))
            tested += 1
    assert tested > 0.95 * SETS


def test_intervals_of_means_as_scipy_has_them():
    for values, _ in data_sets(2, seed=2):
        found = estimate(list(values))
        low, high = stats.ttest_1samp(values, 0).confidence_interval(0.95)
        if np.ptp(values) > 0:
            assert (found.mean - found.half, found.mean + found.half) == pytest.approx((low, high))
        else:
            assert (found.sd, math.isnan(found.half)) == (0, True)


@pytest.mark.slow
def test_games_and_howells_test_as_scipy_has_it():
    tested = 0
    for samples in data_sets(4, seed=3):
        theirs = stats.tukey_hsd(*samples, equal_var=False).pvalue
        for (a, b), (p, t, welch) in games_howell(samples).items():
            if t < LARGEST:
                assert p == pytest.approx(theirs[a, b], abs=1e-5)
                tested += 1
            else:
                assert p > 2 * stats.t.sf(t, welch) * (1 - 1e-3) - 1e-12
    assert tested > 2 * SETS


@pytest.mark.slow
def test_games_and_howells_test_as_statsmodels_has_it():
    multicomp = pytest.importorskip("statsmodels.stats.multicomp")
    weightstats = pytest.importorskip("statsmodels.stats.weightstats")
    tested = 0
    for samples in data_sets(3, seed=4):
        names = np.repeat(np.arange(len(samples)), [len(found) for found in samples])
        theirs = multicomp.pairwise_tukeyhsd(np.concatenate(samples), names, use_var="unequal").pvalues
        places = {pair: place for place, pair in enumerate(combinations(range(len(samples)), 2))}
        for (a, b), (p, t, welch) in games_howell(samples).items():
            if t < LARGEST:
                assert p == pytest.approx(theirs[places[a, b]], abs=1e-5)
            _, alone, df = weightstats.ttest_ind(samples[a], samples[b], usevar="unequal")
            assert (2 * stats.t.sf(t, welch), welch) == pytest.approx((alone, df))
            tested += 1
    assert tested > SETS


def test_no_verdict_is_easier_than_theirs():
    """Intervals here are wider than Games and Howell's, and a pair without any spread has none."""
    for samples in data_sets(6, seed=5):
        theirs = games_howell(samples)
        pairs = compare({str(place): list(found) for place, found in enumerate(samples)})
        for pair, (a, b) in zip(pairs, combinations(range(len(samples)), 2), strict=True):
            if (a, b) in theirs:
                assert pair.p > theirs[a, b][0] - 1e-6 or pair.p > 0.5  # far from a verdict the order may turn
            else:
                assert math.isnan(pair.p)
