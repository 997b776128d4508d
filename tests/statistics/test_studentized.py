"""The studentised range against SciPy's, Student's t and tables."""

import numpy as np
import pytest
from scipy import stats

from recurrent_cells.statistics.studentized import critical, survival


def test_of_two_groups_it_is_students_t():
    random = np.random.default_rng(0)
    t, df = random.exponential(4, size=500), random.uniform(1, 60, size=500)
    assert survival(np.sqrt(2) * t, 2, df) == pytest.approx(2 * stats.t.sf(t, df), abs=1e-6)
    for alpha in (0.05, 0.004):
        assert critical(alpha, 2, df) == pytest.approx(np.sqrt(2) * stats.t.isf(alpha / 2, df), rel=1e-5)


@pytest.mark.parametrize(("groups", "df", "q"), [(3, 4, 5.040), (3, 10, 3.877), (6, 5, 6.033), (10, 20, 5.008)])
def test_as_in_the_tables(groups, df, q):
    assert critical(0.05, groups, df) == pytest.approx(q, abs=6e-4)


def test_as_scipy_has_it():
    random = np.random.default_rng(1)
    for _ in range(25):
        groups, df, q = random.integers(2, 20), random.uniform(1.5, 80), random.uniform(0.5, 12)
        assert survival(q, groups, df) == pytest.approx(stats.studentized_range.sf(q, groups, df), abs=1e-6)


@pytest.mark.parametrize("groups", [2, 3, 6, 40])
@pytest.mark.parametrize("alpha", [0.05, 0.002])
def test_the_critical_value_is_exceeded_as_often_as_asked(groups, alpha):
    df = np.array([1, 1.7, 2.6, 9, 33, 1000])
    assert survival(critical(alpha, groups, df), groups, df) == pytest.approx(alpha, rel=1e-3)
