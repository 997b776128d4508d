"""The pictures of many cells at once."""

from types import SimpleNamespace

import pytest

from recurrent_cells.reports.configurations import configurations
from recurrent_cells.reports.figures import best_of_blocks, draw_cost, draw_effect, styles
from recurrent_cells.reports.metric import Metric
from recurrent_cells.statistics.comparisons import estimate
from recurrent_cells.sweeps.results import read_sweeps
from recurrent_cells.tables import CELLS
from tests.written_sweeps import Made

ACCURACY = Metric("test/acc", is_share=True)


def test_each_cell_has_a_name_and_a_colour_of_its_own():
    cells = [CELLS[name] for name in CELLS.names]
    assert len({cell.label for cell in cells}) == len(cells)
    assert len({cell.color.upper() for cell in cells}) == len(cells)


@pytest.mark.parametrize(("blocks", "most"), [(1, 40), (2, 20), (5, 12)])
def test_of_many_configurations_the_best_of_each_data_block_have_rows(blocks, most):
    found = [SimpleNamespace(block=block, mean=lambda _, it=it: it / 50) for it in range(50) for block in range(blocks)]
    rows = best_of_blocks(found, ACCURACY)
    best_first = [place / 50 for place in range(49, 49 - most, -1)]
    assert [(row.block, row.mean(ACCURACY)) for row in rows] == [(b, it) for b in range(blocks) for it in best_first]


@pytest.mark.slow
@pytest.mark.parametrize("rates", [("0.1",), ("0.1", "0.01")])
def test_all_cells_are_told_apart_and_named_below_the_axes(store, make_sweep, rates):
    trials = [
        Made(cell, seed, 0.9 + place / 200, params={"optimizer.lr": rate})
        for place, cell in enumerate(CELLS.names)
        for rate in rates
        for seed in (0, 1)
    ]
    drawn = configurations(read_sweeps(store, make_sweep(*trials))[1])
    look = styles(drawn)
    assert len({(style.color, style.line, style.marker) for style in look.values()}) == len(drawn)
    figure = draw_cost(drawn, look, ACCURACY, "parameters")
    (axes,), (legend,) = figure.axes, figure.legends
    assert {text.get_text() for text in legend.get_texts()} == {
        *(CELLS[name].label for name in CELLS.names),
        "Pareto front",
    }
    figure.draw_without_rendering()
    below, above = legend.get_window_extent(), axes.get_tightbbox()
    assert below.y1 <= above.y0
    assert figure.bbox.x0 <= below.x0
    assert below.x1 <= figure.bbox.x1


def on_data(cell, seed, data, **params):
    return Made(cell, seed, 0.9 + seed / 100, params={"data.name": data, **params}, tags={"data.digest": data})


@pytest.mark.parametrize("rates", [("0.1",), ("0.1", "0.01")])
@pytest.mark.parametrize("cells", [("gru",), ("gru", "lstm")])
def test_a_configuration_has_one_colour_and_one_marker_on_all_data(store, make_sweep, cells, rates):
    trials = [
        on_data(cell, 0, data, **{"optimizer.lr": rate}) for data in ("a", "b") for cell in cells for rate in rates
    ]
    drawn = configurations(read_sweeps(store, make_sweep(*trials))[1])
    look = styles(drawn)
    found = {(one.identity, look[one.label].color, look[one.label].marker) for one in drawn}
    assert len(found) == len(cells) * len(rates)
    assert len({(look[one.label].color, look[one.label].line) for one in drawn}) == len(drawn)


def effect_of(store, parent, key):
    drawn = configurations(read_sweeps(store, parent)[1])
    return draw_effect(drawn, styles(drawn), ACCURACY, key, {one.label: 4 for one in drawn}).axes[0]


def lines_of(axes):
    """The lines that are drawn through several points."""
    return [line for line in axes.lines if line.get_linestyle() != "None" and len(line.get_xdata()) > 1]


def test_values_without_an_order_have_intervals_and_no_line(store, make_sweep):
    """Two cells at two values, side by side: the intervals are those that hold for all four at once."""
    trials = [
        Made(cell, seed, 0.9 + seed / 100, params={"model.block": block})
        for cell in ("gru", "lstm")
        for block in ("none", "residual")
        for seed in range(3)
    ]
    axes = effect_of(store, make_sweep(*trials), "model.block")
    assert lines_of(axes) == []
    assert [it.get_text() for it in axes.get_xticklabels()] == ["none", "residual"]
    places = [bar.lines[0].get_xdata()[0] for bar in axes.containers]
    assert len({round(place, 6) for place in places}) == 4
    assert sorted(round(place) for place in places) == [0, 0, 1, 1]
    half = estimate([90.0, 91.0, 92.0], 4).half
    for bar in axes.containers:
        (low, high) = bar.lines[2][0].get_segments()[0][:, 1]
        assert (low, high) == pytest.approx((91 - half, 91 + half))
    assert axes.get_legend_handles_labels()[1] == ["GRU", "LSTM"]


def test_means_over_numbers_are_joined(store, make_sweep):
    trials = [
        Made("gru", seed, 0.9 + seed / 100, params={"optimizer.lr": rate})
        for rate in ("0.1", "0.01")
        for seed in (0, 1)
    ]
    (line,) = lines_of(effect_of(store, make_sweep(*trials), "optimizer.lr"))
    assert list(line.get_xdata()) == [0.01, 0.1]


def test_a_cell_alone_at_a_value_stands_above_that_value(store, make_sweep):
    """Numbers come by their size and before words, which have no place between them."""
    biases = {"gru": ("None",), "lstm": ("10.0", "2.0")}
    trials = [Made(cell, 0, params={"model.forget_bias": it}) for cell, values in biases.items() for it in values]
    axes = effect_of(store, make_sweep(*trials), "model.forget_bias")
    assert [it.get_text() for it in axes.get_xticklabels()] == ["2.0", "10.0", "None"]
    assert sorted(bar.lines[0].get_xdata()[0] for bar in axes.containers) == [0, 1, 2]
