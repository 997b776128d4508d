"""What so many trials of a search are expected to find, against all draws there are."""

from itertools import combinations

import numpy as np
import pytest

from recurrent_cells.statistics.budgets import chosen_of

RANKS = [0.3, 0.9, 0.5, 0.75, 0.7, 0.1]
VALUES = [0.2, 0.6, 0.8, 0.7, 0.4, 0.3]  # of other data: the best there is not the one that is chosen


@pytest.mark.parametrize("count", [1, 2, 4, 6])
@pytest.mark.parametrize("values", [RANKS, VALUES])
def test_it_is_the_mean_over_all_draws(values, count):
    chosen = [values[max(drawn, key=RANKS.__getitem__)] for drawn in combinations(range(6), count)]
    found = chosen_of(values, RANKS, [count])
    assert found.mean[0] == pytest.approx(np.mean(chosen))
    for bound, share in ((found.low[0], 0.1), (found.high[0], 0.9)):
        assert np.mean([value <= bound for value in chosen]) >= share
        assert np.mean([value < bound for value in chosen]) < share


def test_by_their_own_values_more_trials_find_better_up_to_the_best_there_is():
    found = chosen_of(RANKS, RANKS, range(1, 7))
    assert found.mean[0] == pytest.approx(np.mean(RANKS))
    assert (np.diff(found.mean) > 0).all()
    assert found.mean[-1] == found.low[-1] == pytest.approx(0.9)


def test_all_trials_find_the_one_that_would_be_chosen_of_all():
    found = chosen_of(VALUES, RANKS, [6])
    assert found.mean[0] == found.low[0] == found.high[0] == pytest.approx(0.6)


def test_of_a_loss_the_lowest_is_chosen():
    losses = [-value for value in VALUES]
    higher, lower = chosen_of(VALUES, RANKS, [2, 3]), chosen_of(losses, RANKS, [2, 3])
    assert lower.mean == pytest.approx(-higher.mean)


def test_of_equal_ranks_each_is_chosen_as_often():
    found = chosen_of([0.0, 0.6, 0.8], [1, 2, 2], [1, 2, 3])
    assert found.mean == pytest.approx([1.4 / 3, 0.7, 0.7])
    assert (found.low[-1], found.high[-1]) == (0.6, 0.8)


def test_of_many_trials():
    values = np.random.default_rng(0).uniform(size=5000)
    assert chosen_of(values, values, [9]).mean[0] == pytest.approx(0.9, abs=0.01)  # of nine uniform values
