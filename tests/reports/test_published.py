"""Recipes beside what was published of them."""

import pytest

from recurrent_cells.reports.contest import contest_of
from recurrent_cells.reports.document import Table
from recurrent_cells.reports.published import published_sections
from recurrent_cells.sweeps.results import read_sweeps
from tests.written_sweeps import CURVE, Made

AT_END = CURVE[-1][0]


@pytest.fixture
def rows(store, make_sweep):
    """`rows(published, …)`: recipe → what the page says of it, in columns; each recipe has the accuracies given."""

    def of(published, **accuracies):
        trials = [
            Made("lstm", seed, value, params={"recipe": recipe, "model.hidden_size": str(size)})
            for size, (recipe, values) in enumerate(accuracies.items(), start=1)
            for seed, value in enumerate(values)
        ]
        data = read_sweeps(store, make_sweep(*trials))[1]
        contest = contest_of(store, data)
        blocks = published_sections(store, data, contest.everything, published, contest.metric)
        tables = {block.name: block for block in blocks if isinstance(block, Table)}
        return {row[0]: row[1:] for row in tables["published"].rows}, tables

    return of


@pytest.mark.parametrize(("published", "side"), [(0.74, "within"), (0.99, "above"), (0.3, "below")])
def test_a_figure_is_held_against_the_interval_of_one_more_run(rows, published, side):
    # mean 0.7, sd 0.02: half is 4.303 · 0.02 · √(1 + 1/3)
    found, _ = rows({"one": {"metric": "test/acc", "values": {AT_END: published}}}, one=[0.68, 0.7, 0.72])
    assert found["one"][1:3] == ("70.00 ± 9.9", side)


@pytest.mark.parametrize(
    ("said", "judged"), [({"above": "two"}, "as published"), ({"below": "two"}, "the other way round")]
)
def test_an_order_is_held_against_the_difference(rows, said, judged):
    found, _ = rows({"one": said}, one=[0.90, 0.91, 0.92], two=[0.5, 0.51, 0.52])
    assert found["one"][2] == judged
    assert found["one"][1].startswith("+40.0 ± ")
    assert found["two"][:3] == ("no figure", "–", "–")


def test_what_scatters_too_much_is_not_told_apart(rows):
    found, _ = rows({"one": {"above": "two"}}, one=[0.5, 0.9, 0.7], two=[0.6, 0.8, 0.71])
    assert found["one"][2] == "not told apart"


def test_a_lone_trial_is_held_against_nothing(rows):
    found, _ = rows(
        {"one": {"above": "two"}, "two": {"metric": "test/acc", "values": {AT_END: 0.7}}}, one=[0.5], two=[0.6]
    )
    assert found["one"][2] == "not compared yet"
    assert found["two"][1:3] == ("60.00", "–")


def test_a_published_curve_stands_beside_those_of_the_trials(rows):
    published = {"one": {"metric": "val/acc", "values": {step: 0.5 for step, *_ in CURVE}}}
    found, tables = rows(published, one=[0.7, 0.7])
    assert tables["curve_one"].columns["step"] == [str(step) for step, *_ in CURVE]
    assert tables["curve_one"].columns["here"][-1].startswith(f"{CURVE[-1][2]:.4f}")
    assert found["one"][0] == f"val/acc 50.00 after {AT_END} steps"
