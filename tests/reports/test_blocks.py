"""Who is compared with whom, and what is said of many configurations and of several data blocks."""

import re

import numpy as np
import pytest

from recurrent_cells.reports.configurations import configurations, contenders
from recurrent_cells.reports.write import write_report
from recurrent_cells.sweeps.results import read_sweeps
from tests.written_sweeps import Made

pytestmark = pytest.mark.usefixtures("undrawn")
RATES = ("0.1", "0.2", "0.3", "0.4")


def text_of(written):
    return (written.page.parent / "report.md").read_text()


def by_rate(cell, seed, rate, accuracy, **more):
    return Made(cell, seed, accuracy, params={"optimizer.lr": rate}, **more)


@pytest.mark.slow
def test_a_lone_survivor_is_not_elected(store, make_sweep):
    trials = [by_rate("lstm", seed, "0.1", 0.90 + seed / 1000) for seed in range(3)]
    trials += [by_rate("lstm", 0, "9", 0.99), by_rate("lstm", 1, "9", 0.1, state="FAILED")]
    trials += [by_rate("gru", seed, "0.1", 0.95) for seed in range(2)]
    found = contenders(configurations(read_sweeps(store, make_sweep(*trials))[1]))
    assert [one.label for one in found] == ["LSTM lr 0.1", "GRU lr 0.1"]


def test_settings_of_a_cell_alone_count_where_they_are_not_the_defaults(store, make_sweep):
    options = {"model.options.peepholes": "False", "model.options.variant": "standard"}
    others = options | {"model.options.variant": "coupled_gates"}
    before, after = Made("lstm", 0), Made("lstm", 1, params=options)
    for trials, labels in (
        ([before, after, Made("gru", 0)], ["LSTM", "GRU"]),
        ([before, after, Made("lstm", 0, params=others)], ["LSTM variant standard", "LSTM variant coupled_gates"]),
    ):
        found = configurations(read_sweeps(store, make_sweep(*trials))[1])
        assert [(one.label, len(one.trials)) for one in found] == list(zip(labels, (2, 1), strict=True))


@pytest.mark.slow
def test_of_many_rates_the_worst_by_validation_are_left_out(store, make_sweep):
    trials = [
        by_rate("gru", seed, f"{place}", 0.5 + place / 100 + seed / 1000) for place in range(1, 43) for seed in range(2)
    ]
    written = write_report(store, make_sweep(*trials))
    assert written.headline[0].startswith("Of 40 configurations GRU lr 42 has the best mean.")
    text = text_of(written)
    assert "2 configurations that are worse by validation are left out" in text
    assert "42 configurations were tried" in text
    assert "steps trained 30" in text


def test_seeds_that_are_not_shared_count(store, make_sweep):
    trials = [Made("gru", seed, 0.98 + seed / 1e4) for seed in range(3)]
    trials += [Made("lstm", seed, 0.90 + seed / 1e4) for seed in range(7, 11)]
    assert write_report(store, make_sweep(*trials)).headline[0].startswith("GRU beats LSTM by ")


def test_many_configurations_are_answered_beside_the_best(store, make_sweep):
    values = {"0.1": 0.90, "0.2": 0.95, "0.3": 0.951, "0.4": 0.80}
    trials = [by_rate("lstm", seed, rate, value + seed / 1000) for rate, value in values.items() for seed in range(3)]
    trials += [by_rate("lstm", seed, "0.5", 0.95 + seed / 1000) for seed in range(3)]
    (sentence,) = write_report(store, make_sweep(*trials)).headline
    best, worse, open_ = sentence.split(". ")[0], *sentence.partition("Worse than it: ")[2].split(". Not told apart ")
    assert best == "Of 5 configurations LSTM lr 0.3 has the best mean"
    assert worse.startswith("LSTM lr 0.1 (by 5.1 ± ")
    assert "LSTM lr 0.4 (by 15.1 ± " in worse
    assert open_ == "from it: LSTM lr 0.2, LSTM lr 0.5."


@pytest.mark.slow
def test_unequal_tuning_is_said(store, make_sweep):
    trials = [by_rate("lstm", seed, rate, 0.90 + seed / 1000) for rate in RATES for seed in range(3)]
    trials += [by_rate("gru", seed, "0.1", 0.95 + seed / 1000) for seed in range(3)]
    written = write_report(store, make_sweep(*trials))
    assert any(sentence.startswith("Tuning was unequal") for sentence in written.headline)
    assert "settings tried per cell: 4 (LSTM); 1 (GRU)" in text_of(written)
    equal = [trial for trial in trials if trial.params["optimizer.lr"] == "0.1"]
    assert "Tuning was unequal" not in text_of(write_report(store, make_sweep(*equal, name="equal")))


def test_failed_trials_are_named_beside_the_verdict(store, make_sweep):
    trials = [Made(cell, seed, 0.9 + seed / 100) for cell in ("gru", "lstm") for seed in range(2)]
    error = "the validation loss is nan at step 3: a lower optimizer.lr may help"
    written = write_report(store, make_sweep(*trials, Made("lstm", 2, state="FAILED", tags={"error": error})))
    assert written.headline[-1].startswith("1 of 5 trials did not finish (1 failed)")
    assert "diverged trials: the loss was not finite: lstm-h8x1-s2" in text_of(written)


def on_split(cell, seed, split, accuracy):
    params = {"data.split_seed": str(split)}
    return Made(cell, seed, accuracy, params=params, tags={"data.digest": f"d{split}"})


@pytest.mark.slow
def test_data_blocks_never_compete(store, make_sweep):
    random = np.random.default_rng(0)
    trials = [
        on_split(cell, seed, split, 0.7 + split / 20 + better + random.normal() / 1000)
        for cell, better in (("gru", 0.01), ("lstm", 0))
        for split in range(4)
        for seed in range(2)
    ]
    written = write_report(store, make_sweep(*trials))
    head, verdict = written.headline
    assert head == "Over all 4 data blocks:"
    assert verdict.startswith("GRU beats LSTM by 1.")
    text = text_of(written)
    assert re.findall(r"^On (split\\_seed \d): ", text, re.MULTILINE) == [f"split\\_seed {split}" for split in range(4)]
    assert text.count("By test/acc over 2 seeds of each") == 1
    assert "what other blocks of the kind would change" in text
    assert "- data:" not in text


@pytest.mark.slow
def test_two_data_sets_have_a_verdict_each(store, make_sweep):
    trials = [
        Made(cell, seed, value + seed / 1000, params={"data.name": data}, tags={"data.digest": data})
        for data in ("mnist", "fashion_mnist")
        for cell, value in (("gru", 0.9), ("lstm", 0.8))
        for seed in range(3)
    ]
    written = write_report(store, make_sweep(*trials))
    first, verdict, second, _ = written.headline
    assert (first, second) == ("On mnist:", "On fashion_mnist:")
    assert verdict.startswith("GRU beats LSTM by 10.0 ± ")
    text = text_of(written)
    assert "2 data blocks that all share are too few to say what other data would show." in text
    order = [text.index(f"| {cell} {data}") for data in ("mnist", "fashion\\_mnist") for cell in ("GRU", "LSTM")]
    assert order == sorted(order)


@pytest.mark.parametrize(("losses", "words"), [(30, "on others that is open"), (0, "on other test examples too")])
def test_outcomes_say_whether_it_holds_for_other_examples(store, make_sweep, losses, words):
    gru, lstm = np.ones((2, 400), dtype=int)
    lstm[:40] = 0
    gru[40 : 40 + losses] = 0
    trials = []
    for cell, answers in (("gru", gru), ("lstm", lstm)):
        for seed in range(4):
            own = answers.copy()
            own[399 - seed :] = 0
            trials.append(Made(cell, seed, float(own.mean()), outcomes=list(own)))
    written = write_report(store, make_sweep(*trials))
    assert words in written.headline[0]
    assert "on other examples too" in text_of(written)


@pytest.mark.slow
def test_a_stated_margin_allows_equality_and_names_the_seeds_it_takes(store, make_sweep):
    trials = [Made(cell, seed, 0.9 + seed / 1000) for cell in ("gru", "lstm") for seed in range(3)]
    parent = make_sweep(*trials)
    assert "are not told apart" in write_report(store, parent).headline[0]
    assert "are equal within 3 points" in write_report(store, parent, margin=3.0).headline[0]
    written = write_report(store, parent, margin=0.1)
    assert "are not told apart" in written.headline[0]
    assert "a difference of 0.1 points would take about " in text_of(written)


def test_what_a_value_does_is_drawn_for_each_problem_and_what_a_problem_does_is_not(store, make_sweep):
    def trial(seed, rate, problem):
        choices = {"problem": problem, "optimizer.lr": rate}
        tags = {"data.digest": problem}
        return Made("lstm", seed, 0.9 + seed / 100, params={"optimizer.lr": rate}, choices=choices, tags=tags)

    trials = [trial(seed, rate, problem) for seed in (0, 1) for rate in RATES for problem in ("near", "far")]
    text = text_of(write_report(store, make_sweep(*trials)))
    for name in ("near", "far"):
        assert f"What optimizer.lr does on {name}: small points are seeds, lines join means." in text
    assert "What problem does" not in text
