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
    assert "settings tried per cell 2" in texts(report(parent))


def test_a_fixed_plan_that_adds_seeds_to_a_finished_one_says_that_it_was_looked_at(store, make_sweep, report):
    first = make_sweep(*trials({"gru": 3, "lstm": 3}), name="three")
    more = make_sweep(*trials({"gru": 5, "lstm": 5}), name="five")
    for parent, count in ((first, 6), (more, 10)):
        store.client.set_tag(parent, Tag.CONFIGURATIONS, "same")
        store.client.set_tag(parent, Tag.TRIALS, str(count))
    assert "looks were taken at 3, 5 seeds" in texts(report(more))
    assert "looks were taken" not in texts(report(first))


def looked_at(store, make_sweep, *trials):
    """A sweep of three seeds and more that takes looks."""
    parent = make_sweep(*trials)
    write_question(store, parent, Question("decided", [0, 1, 2], 0.0, 8, [it.fingerprint for it in trials]))
    return parent


def test_a_sweep_of_other_seeds_or_one_that_came_later_was_no_look(store, make_sweep, report):
    later = trials({"gru": 3, "lstm": 3})
    others = [Made(cell, seed, 0.9 + seed / 1000) for cell in ("gru", "lstm") for seed in (5, 6, 7)]
    elsewhere = make_sweep(*others, name="other seeds")
    parent = make_sweep(*trials({"gru": 5, "lstm": 5}), name="five")
    again = make_sweep(*later, name="three, later")
    for sweep, count in ((elsewhere, 6), (parent, 10), (again, 6)):
        store.client.set_tag(sweep, Tag.CONFIGURATIONS, "same")
        store.client.set_tag(sweep, Tag.TRIALS, str(count))
    assert "looks were taken" not in texts(report(parent))


def test_a_seed_that_failed_counts_as_used_also_the_first(store, make_sweep, report):
    made = trials({"gru": 5, "lstm": 5})
    for place in (0, 4):  # of GRU
        made[place] = Made("gru", made[place].seed, state="FAILED")
    said = texts(report(looked_at(store, make_sweep, *made)))
    assert "looks were taken at 3, 5 seeds" in said


@pytest.mark.parametrize("place", [0, 4])
def test_a_seed_that_was_stopped_or_skipped_counts_as_used(store, make_sweep, report, place):
    made = trials({"gru": 5, "lstm": 5})
    made[place] = Made("gru", made[place].seed, state="KILLED", tags={"stop": "x", "error": "stopped: x"})
    made[3] = Made("gru", 3, state="missing")
    parent = looked_at(store, make_sweep, *made)
    store.client.set_tag(parent, f"skip.{made[3].fingerprint}", "not now")
    assert "looks were taken at 3, 5 seeds" in texts(report(parent))


def test_a_seed_that_runs_was_not_looked_at(store, make_sweep, report):
    made = trials({"gru": 5, "lstm": 5})
    made[3] = Made("gru", 3, state="RUNNING")
    assert "looks were taken at 3 seeds" in texts(report(looked_at(store, make_sweep, *made)))


def test_where_only_trials_that_chose_settings_are_finished_nothing_is_compared(store, make_sweep, report):
    tuning = [Made(cell, 9, 0.99) for cell in ("gru", "lstm")]
    parent = make_sweep(*tuning, Made("gru", 0, state="missing"))
    write_question(store, parent, Question("done", [], 0.0, 0, [], [trial.fingerprint for trial in tuning]))
    assert "only trials that chose among settings" in texts(report(parent))
