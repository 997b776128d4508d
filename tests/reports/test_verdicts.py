"""What is said of a pair of configurations."""

from recurrent_cells.reports.metric import Metric
from recurrent_cells.reports.verdicts import verdict
from recurrent_cells.statistics.comparisons import compare

ACCURACY = Metric("test/acc", is_share=True)


def by_seed(*values: float) -> dict[int, float]:
    return dict(enumerate(values))


def test_a_clear_difference_is_said():
    values = {"SimpleRNN": by_seed(0.96, 0.961, 0.959), "GRU": by_seed(0.98, 0.9808, 0.9791)}
    (found,) = compare(values)
    assert (found.better, found.worse) == ("GRU", "SimpleRNN")
    assert verdict(found, ACCURACY) == "GRU beats SimpleRNN by 2.00 ± 0.04 points (p < 0.001, 3 seeds)."


def test_an_unclear_difference_names_the_seeds_it_would_take():
    values = {"LSTM": by_seed(0.987, 0.985, 0.986), "GRU": by_seed(0.988, 0.9848, 0.9867)}
    (found,) = compare(values)
    assert found.needed is not None
    assert found.needed > 3
    assert verdict(found, ACCURACY).startswith("3 seeds cannot separate GRU from LSTM (0.05 ± ")
    assert verdict(found, ACCURACY).endswith(f": about {found.needed} would be needed.")


def test_one_seed_concludes_nothing():
    (found,) = compare({"A": by_seed(0.5), "B": by_seed(0.9)})
    assert not found.is_separated
    assert verdict(found, ACCURACY) == "One seed cannot tell B from A: nothing can be concluded."
    (found,) = compare({"A": {0: 0.5}, "B": {1: 0.9}})
    assert verdict(found, ACCURACY) == "A and B share no seed: nothing can be concluded."


def test_equal_differences_are_not_taken_for_certainty():
    (found,) = compare({"A": by_seed(0.5, 0.5), "B": by_seed(0.6, 0.6)})
    assert not found.is_separated
    assert "without any spread" in verdict(found, ACCURACY)
    (found,) = compare({"A": by_seed(0.5, 0.5), "B": by_seed(0.5, 0.5)})
    assert "their means are equal" in verdict(found, ACCURACY)
