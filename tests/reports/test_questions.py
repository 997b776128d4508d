"""Sweeps that were looked at while seeds were added."""

import pytest

from recurrent_cells.reports.compose import compose, headline
from recurrent_cells.reports.document import Text
from recurrent_cells.sweeps.results import read_sweeps
from recurrent_cells.tracking.artifacts import Question, write_question
from recurrent_cells.tracking.names import Tag
from tests.written_sweeps import Made

SPREAD = (0.000, 0.006, -0.005, 0.004, -0.006, 0.002, -0.003, 0.005)
SHIFT = {"simple_rnn": -0.3, "gru": 0.008, "lstm": 0.0}


def trials(counts, **extra):
    return [
        Made(cell, seed, 0.9 + SHIFT[cell] + SPREAD[seed] * (-1) ** len(cell), **extra)
        for cell, count in counts.items()
        for seed in range(count)
    ]


@pytest.fixture
def report(store):
    def made(which: str):
        opened, data = read_sweeps(store, which)
        return compose(opened, data)

    return made


def texts(document) -> str:
    return " ".join(block.text for block in document.blocks if isinstance(block, Text))


@pytest.mark.slow
def test_the_look_that_decided_a_pair_gives_its_interval(store, make_sweep, report):
    parent = make_sweep(*trials({"simple_rnn": 3, "gru": 8, "lstm": 8}))
    write_question(store, parent, Question("decided", [0, 1, 2], 0.0, 8, []))
    said = texts(report(parent))
    assert "looks were taken at 3, 5, 8 seeds" in said
    fixed = make_sweep(*trials({"simple_rnn": 3, "gru": 8, "lstm": 8}), name="fixed")
    assert headline(report(fixed)) != headline(report(parent))


def test_only_what_was_chosen_is_compared_and_tuning_takes_no_part(store, make_sweep, report):
    tuning = [Made(cell, 9, 0.99, params={"optimizer.lr": "0.1"}) for cell in ("gru", "lstm")]
    compared = trials({"gru": 3, "lstm": 3}, params={"optimizer.lr": "0.2"})
    parent = make_sweep(*tuning, *compared)
    chosen = [trial.fingerprint for trial in compared if trial.seed == 0]
    write_question(store, parent, Question("done", [], 0.0, 0, chosen, [trial.fingerprint for trial in tuning]))
    assert not any("0.1" in line for line in headline(report(parent)))
    assert "over 3 seeds" in texts(report(parent))


def test_a_fixed_plan_that_adds_seeds_to_a_finished_one_says_that_it_was_looked_at(store, make_sweep, report):
    first = make_sweep(*trials({"gru": 3, "lstm": 3}), name="three")
    more = make_sweep(*trials({"gru": 5, "lstm": 5}), name="five")
    for parent, count in ((first, 6), (more, 10)):
        store.client.set_tag(parent, Tag.CONFIGURATIONS, "same")
        store.client.set_tag(parent, Tag.TRIALS, str(count))
    assert "looks were taken at 3, 5 seeds" in texts(report(more))
    assert "looks were taken" not in texts(report(first))
