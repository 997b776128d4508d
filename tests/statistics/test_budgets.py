"""The expected best of so many trials, against all draws there are."""

from itertools import combinations

import numpy as np
import pytest

from recurrent_cells.statistics.budgets import best_of

VALUES = [0.3, 0.9, 0.5, 0.7, 0.7, 0.1]


@pytest.mark.parametrize("count", [1, 2, 4, 6])
def test_it_is_the_mean_over_all_draws(count):
    draws = [max(drawn) for drawn in combinations(VALUES, count)]
    found = best_of(VALUES, [count])
    assert found.mean[0] == pytest.approx(np.mean(draws))
    assert np.mean([best <= found.low[0] for best in draws]) >= 0.1
    assert np.mean([best < found.low[0] for best in draws]) < 0.1
    assert np.mean([best <= found.high[0] for best in draws]) >= 0.9


def test_it_rises_to_the_best_there_is():
    found = best_of(VALUES, range(1, 7))
    assert found.mean[0] == pytest.approx(np.mean(VALUES))
    assert (np.diff(found.mean) > 0).all()
    assert found.mean[-1] == found.low[-1] == pytest.approx(0.9)


def test_of_a_loss_the_lowest_is_the_best():
    higher, lower = best_of(VALUES, [2, 3]), best_of([-value for value in VALUES], [2, 3], higher_is_better=False)
    assert lower.mean == pytest.approx(-higher.mean)
    assert lower.low == pytest.approx(-higher.low)


def test_of_many_trials():
    values = np.random.default_rng(0).uniform(size=5000)
    assert best_of(values, [9]).mean[0] == pytest.approx(0.9, abs=0.01)  # of nine uniform values
