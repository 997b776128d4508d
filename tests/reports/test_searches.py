"""What a report says of a search."""

import re
from dataclasses import replace

import numpy as np
import pytest

from recurrent_cells.reports.compose import compose
from recurrent_cells.reports.document import Table, Text
from recurrent_cells.reports.metric import Metric
from recurrent_cells.reports.search_figures import SearchTrial, draw_budget, draw_parallel
from recurrent_cells.reports.searches import read_outline, search_section
from recurrent_cells.reports.write import write_report
from recurrent_cells.sweeps.results import read_sweeps
from recurrent_cells.sweeps.search.outline import Outline, as_json, from_json
from recurrent_cells.sweeps.search.ranges import Choices, Interval
from recurrent_cells.sweeps.search.settings import SearchSettings
from recurrent_cells.sweeps.search.space import Space
from tests.written_sweeps import Made

RATES = [0.0001, 0.0003, 0.001, 0.002, 0.003, 0.004, 0.006, 0.01, 0.02, 0.03, 0.06, 0.1]
RANGES = {"model": Choices(("lstm", "gru")), "optimizer.lr": Interval(1e-4, 1e-1, log=True)}
SETTINGS = SearchSettings(pruner="asha", seed=3)
OUTLINE = as_json(Space(lambda overrides: None, (), RANGES), SETTINGS)
RANDOM = as_json(Space(lambda overrides: None, (), RANGES), replace(SETTINGS, sampler="random"))


def tried(pruned=(), sign=1, **tags):
    """Trials whose metric depends on the learning rate alone, best at 0.01."""
    return [
        Made(
            ("lstm", "gru")[place % 2],
            0,
            0.98 - sign * abs(place - 7) / 20,
            params={"optimizer.lr": str(rate)},
            pruned=place in pruned,
            tags=tags,
        )
        for place, rate in enumerate(RATES)
    ]


def names(page):
    return {path.stem for path in (page.parent / "figures").glob("*.png")}


def pictures_of(store, run_id):
    store, data = read_sweeps(store, run_id)
    outline = read_outline(store, data)
    assert outline is not None
    return search_section(outline, data)[-1].pictures


def test_the_outline_is_read_as_it_was_written():
    assert from_json(OUTLINE) == Outline(RANGES, SETTINGS)


def test_a_search_has_its_pictures_and_its_sentence(store, make_sweep, undrawn):
    written = write_report(store, make_sweep(*tried(pruned=(0, 1, 2, 11)), outline=OUTLINE))
    assert {"search_history", "search_importances", "search_parallel"} < names(written.page)
    assert not any(name.startswith("effect_") for name in names(written.page))
    text = (written.page.parent / "report.md").read_text()
    assert "12 trials proposed by tpe, its seed 3. 4 were pruned by asha, after 10 steps on average." in text
    assert "The best by validation is trial 8: model=gru, optimizer.lr=0.01, 99.00 %." in text
    assert "did not finish" not in text
    results = (written.page.parent / "tables" / "results.csv").read_text().splitlines()
    assert len(results) == 1 + 8


def test_a_random_search_shows_what_fewer_trials_would_have_found_on_the_test_data(store, make_sweep):
    _, budget, *_ = pictures_of(store, make_sweep(*tried(), outline=RANDOM))
    assert budget.name == "search_budget"
    assert "on the test data" in budget.caption
    assert "runed" not in budget.caption
    (axes,) = budget.figure.axes
    assert axes.get_ylabel() == "expected test/acc (%)"
    for line, start in zip(axes.lines, (0, 1), strict=True):
        values = [0.98 - abs(place - 7) / 20 for place in range(start, 12, 2)]
        assert line.get_xdata()[[0, -1]] == pytest.approx([1, 6])
        assert line.get_ydata()[[0, -1]] == pytest.approx([100 * np.mean(values), 100 * max(values)])


def test_what_validation_would_choose_may_be_worse_on_the_test_data():
    """Of both trials the first is chosen, whose test value is the lower one."""
    trials = [SearchTrial(1, {}, 0.9, False, "gru", 0.7), SearchTrial(2, {}, 0.8, False, "gru", 0.8)]
    figure = draw_budget({"gru": trials}, Metric("val/best_acc"), Metric("test/acc"))
    assert figure.axes[0].lines[0].get_ydata() == pytest.approx([0.75, 0.7])


def test_a_pruned_trial_is_chosen_only_where_there_is_no_other(store, make_sweep):
    """The eighth trial, the best of its cell, was pruned: with all trials the sixth is chosen."""
    _, budget, *_ = pictures_of(store, make_sweep(*tried(pruned=(7,)), outline=RANDOM))
    assert "Pruned trials are drawn too" in budget.caption
    values = [98 - 5 * abs(place - 7) for place in range(1, 12, 2)]
    assert budget.figure.axes[0].lines[1].get_ydata()[[0, -1]] == pytest.approx([np.mean(values), 88])


@pytest.mark.parametrize(("known", "words"), [(12, None), (9, "for want of a test value: 3 of 12"), (0, None)])
def test_only_trials_with_a_test_value_tell_what_is_expected_on_the_test_data(store, make_sweep, known, words):
    _, data = read_sweeps(store, make_sweep(*tried(), outline=RANDOM))
    trials = list(data.trials)
    for place in range(known, 12):
        record = trials[place].record
        metrics = {name: value for name, value in record.metrics.items() if name != "test/acc"}
        trials[place] = replace(trials[place], record=replace(record, metrics=metrics))
    pictures = search_section(from_json(RANDOM), replace(data, trials=tuple(trials)))[-1].pictures
    captions = [it.caption for it in pictures if it.name == "search_budget"]
    assert len(captions) == (known > 0)
    assert any("for want" in it for it in captions) == (words is not None)
    assert words is None or words in captions[0]


def test_the_test_value_of_the_chosen_is_told(store, make_sweep):
    document = compose(*read_sweeps(store, make_sweep(*tried(), outline=OUTLINE)))
    (text,) = [it.text for it in document.blocks if isinstance(it, Text) and "The best by validation is" in it.text]
    assert "On the test data, which had no part in that choice, it has 98.00 %." in text
    assert "the course of this one search" in text


def test_proposals_of_several_seeds_are_judged_by_their_means(store, make_sweep):
    """The fourth rate has the best single seed, the eighth the best mean; the last has the first seed alone."""
    outline = as_json(Space(lambda overrides: None, (), RANGES), replace(SETTINGS, pruner="none", seeds=2))
    made = [replace(it, seed=seed) for it in tried() for seed in (0, 1)][:-1]
    made[6] = replace(made[6], accuracy=0.99)
    _, data = read_sweeps(store, make_sweep(*made, outline=outline))
    _, text, _ = search_section(from_json(outline), data)
    assert "12 trials proposed by tpe" in text.text
    assert "Each is judged by the mean over 2 seeds; 1 were given up after the first." in text.text
    assert "The best by validation is trial 8: model=gru, optimizer.lr=0.01, 99.00 %." in text.text


def test_several_objectives_have_a_front(store, make_sweep):
    """All trials of a cell have its number of parameters, and two are the best of those that were not pruned."""
    settings = replace(SETTINGS, objectives=("n_params", "val/acc"))
    outline = as_json(Space(lambda overrides: None, (), RANGES), settings)
    _, data = read_sweeps(store, make_sweep(*tried(pruned=(7,)), outline=outline))
    section = search_section(from_json(outline), data)
    (table,) = [block for block in section if isinstance(block, Table)]
    assert table.columns["trial"] == ["7", "9", "6", "10"]
    assert table.columns["n_params"] == ["4,000", "4,000", "3,000", "3,000"]
    (picture,) = [it for it in section[-1].pictures if it.name.startswith("search_front")]
    (line,) = picture.figure.axes[0].lines
    assert line.get_xdata().tolist() == [3000, 3000, 4000, 4000]


def test_what_decides_is_found_important(store, make_sweep):
    _, importances, _ = pictures_of(store, make_sweep(*tried(), outline=OUTLINE))
    (axes,) = importances.figure.axes
    shares = dict(zip([label.get_text() for label in axes.get_yticklabels()], axes.patches, strict=True))
    assert shares["optimizer.lr"].get_width() > 0.9 > shares["model"].get_width()


@pytest.mark.slow
def test_the_best_of_a_search_for_a_low_value_is_the_lowest(store, make_sweep):
    tags = {"metric": "mse", "metric.higher_is_better": "false", "metric.is_share": "false"}
    parent = make_sweep(*tried(pruned=(0, 1), sign=-1, **tags), outline=OUTLINE)
    text = (write_report(store, parent).page.parent / "report.md").read_text()
    assert "The best by validation is trial 8: model=gru, optimizer.lr=0.01, 0.99. " in text
    (axes,) = pictures_of(store, parent)[0].figure.axes
    assert axes.lines[0].get_ydata()[-1] == pytest.approx(0.99)


def test_few_trials_have_no_importances(store, make_sweep):
    pictures = pictures_of(store, make_sweep(*tried()[:5], outline=OUTLINE))
    assert [picture.name for picture in pictures] == ["search_history", "search_parallel"]


def test_another_sweep_is_no_search(store, make_sweep):
    store, data = read_sweeps(store, make_sweep(*tried()[:3]))
    assert read_outline(store, data) is None


def test_what_a_search_pruned_is_missing_elsewhere(store, make_sweep):
    first = make_sweep(*tried(pruned=(0,))[:2], outline=OUTLINE)
    again = make_sweep(Made("lstm", 0, params={"optimizer.lr": str(RATES[0])}, state="missing"), name="a grid")
    assert [trial.state for trial in read_sweeps(store, first)[1].trials] == ["pruned", "finished"]
    assert [trial.state for trial in read_sweeps(store, again)[1].trials] == ["missing"]


@pytest.mark.parametrize("range_", [Interval(1, 1.5), Interval(2, 4, integer=True, step=2), Choices(("only",))])
def test_parallel_lines_of_any_range(range_):
    (value, *_) = range_.ends
    one = SearchTrial(1, {"a.key": range_.value(value)}, 0.5, pruned=False)
    figure = draw_parallel({"a.key": range_}, [one], one, Metric("val/best_acc"))
    (line,) = [line for line in figure.axes[0].lines if line.get_marker() == "o"]
    assert list(line.get_ydata()) == [0.0]
    assert re.match("a", figure.axes[0].get_xticklabels()[0].get_text())
