"""What is said of a pair of configurations."""

import math

from recurrent_cells.reports.metric import Metric
from recurrent_cells.reports.verdicts import verdict
from recurrent_cells.statistics.comparisons import Comparison, compare

ACCURACY = Metric("test/acc", is_share=True)


def said(values, margin=None, on_other_examples=None):
    (found,) = compare(values)
    return verdict(found, ACCURACY, on_other_examples, margin)


CLEAR = {"SimpleRNN": [0.96, 0.961, 0.959], "GRU": [0.98, 0.9808, 0.9791]}
UNCLEAR = {"LSTM": [0.987, 0.985, 0.986], "GRU": [0.988, 0.9848, 0.9867]}


def test_a_clear_difference_is_said():
    assert said(CLEAR) == "GRU beats SimpleRNN by 2.0 ± 0.3 points."


def test_it_says_whether_other_examples_could_change_it():
    holds = Comparison("GRU", "SimpleRNN", (3, 3), 0.02, 0.004)
    assert said(CLEAR, None, holds).endswith("points, on other test examples too (± 0.4 points).")
    open_ = Comparison("GRU", "SimpleRNN", (3, 3), 0.02, 0.03)
    assert said(CLEAR, None, open_).endswith("points on these test examples; on others that is open (± 3.0 points).")


def test_an_unclear_difference_says_what_the_data_exclude():
    (found,) = compare(UNCLEAR)
    sentence = said(UNCLEAR)
    assert sentence.startswith("GRU and LSTM are not told apart: they differ by at most ")
    assert float(sentence.split()[-2]) / 100 >= found.most > float(sentence.split()[-2]) / 100 - 0.0002


def test_equal_is_said_only_within_a_stated_margin():
    (found,) = compare(UNCLEAR)
    assert said(UNCLEAR, margin=found.most * 1.01).startswith("GRU and LSTM are equal within 0.")
    assert "not told apart" in said(UNCLEAR, margin=found.most * 0.99)
    assert "beats" in said(CLEAR, margin=0.5)


def test_one_seed_concludes_nothing():
    assert said({"A": [0.5], "B": [0.9]}) == "One seed cannot tell B from A: nothing can be concluded."
    assert said({"A": [], "B": [0.9]}) == "A or B has no value: nothing can be concluded."


def test_equal_differences_are_not_taken_for_certainty():
    assert "without any spread" in said({"A": [0.5, 0.5], "B": [0.6, 0.6]})
    assert "without any spread" in said({"A": [0.1 + 0.2, 0.3, 0.3], "B": [0.6, 0.6, 0.6]})
    assert "are equal on every seed" in said({"A": [0.5, 0.5], "B": [0.5, 0.5]})


def test_rounding_never_hides_on_which_side_of_0_an_interval_lies():
    for half, apart in ((0.0199999, True), (0.0200001, False)):
        found = Comparison("A", "B", (3, 3), 0.02, half)
        difference, shown = ACCURACY.amount(found.difference, found.half).removesuffix(" points").split(" ± ")
        assert (float(difference) > float(shown)) == apart == found.is_separated
    assert ACCURACY.difference(0.00301) == "0.31 points"
    assert math.isnan(Comparison("A", "B", (1, 1)).most)
