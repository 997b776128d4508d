"""Which way a metric is better, and its unit."""

import math

import pytest

from recurrent_cells.reports.metric import Metric, describe, selection_of
from recurrent_cells.tracking.queries import TrialRecord


def record(**tags):
    return TrialRecord("run", "gru-h8x1-s0", "f", "FINISHED", 0, "", {}, tags, {})


MSE = record(**{"metric": "mse", "metric.higher_is_better": "false", "metric.is_share": "false"})


@pytest.mark.parametrize(
    ("name", "higher", "share"),
    [
        ("test/acc", True, True),
        ("val/best_acc", True, True),
        ("test/loss", False, False),
        ("epoch_seconds", False, False),
        ("samples_per_second", True, False),
        ("val/best_mse", False, False),
    ],
)
def test_a_name_says_what_is_judged(name, higher, share):
    found = describe(name, [record(), MSE])
    assert (found.name, found.higher_is_better, found.is_share) == (name, higher, share)


def test_the_table_of_metrics_knows_those_that_no_run_names():
    assert describe("test/acc", [MSE]).is_share


def test_what_chose_the_weights():
    assert selection_of(record()) == Metric("val/best_acc", True, True)
    assert selection_of(MSE) == Metric("val/best_mse", False, False)


def test_shares_are_shown_in_per_cent_and_differ_by_points():
    share, other = Metric("test/acc", is_share=True), Metric("test/mse", higher_is_better=False)
    assert (share.label, other.label) == ("test/acc (%)", "test/mse")
    assert (share.value(0.98126), other.value(0.071234)) == ("98.13", "0.07123")
    assert share.value(math.nan) == "–"
    assert share.amount(0.019, 0.003) == "1.9 ± 0.3 points"
    assert other.amount(0.019, 0.003) == "0.019 ± 0.003"
    assert other.amount(0.1004, 0.0996) == "0.1004 ± 0.0996"
    assert [other.difference(it) for it in (0, 0.07, 1.0049, 123456)] == ["0", "0.07", "1.01", "1.24e+05"]


def test_the_better_ranks_higher():
    values = [0.2, math.nan, 0.1]
    assert sorted(values, key=Metric("test/mse", higher_is_better=False).rank)[-1] == 0.1
    assert sorted(values, key=Metric("test/acc").rank)[-1] == 0.2


def test_shares_differ_by_at_most_all_points():
    assert Metric("test/acc", is_share=True).difference(1.14) == "100 points"
    assert Metric("test/mse").difference(1.14) == "1.14"
    assert (Metric("test/acc", is_share=True).half(36.4), Metric("test/mse").half(36.4)) == (1.0, 36.4)
    assert Metric("test/acc", is_share=True).amount(0.7, 36.4) == "70.0 ± 100.0 points"
