import numpy as np
import pytest

from recurrent_cells.statistics.fronts import better, fronts


def test_points_are_sorted_into_fronts():
    points = [(3, 1), (1, 3), (2, 2), (1, 1), (2, 1), (0, 0), (3, 1)]
    assert fronts(points).tolist() == [0, 0, 0, 2, 1, 3, 0]


def test_with_one_objective_a_front_is_a_rank():
    values = np.random.default_rng(0).normal(size=20)
    assert (fronts(values[:, None]) == np.argsort(np.argsort(-values))).all()


@pytest.mark.parametrize(("point", "count"), [((3, 3), 0), ((2, 2), 0), ((1, 1), 3), ((0, 0), 4)])
def test_those_of_better_fronts_are_counted(point, count):
    assert better([(3, 1), (1, 3), (2, 2), (0, 1)], point) == count
