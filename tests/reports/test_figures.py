"""The pictures of many cells at once."""

from types import SimpleNamespace

import pytest

from recurrent_cells.reports.configurations import configurations
from recurrent_cells.reports.figures import best_of_blocks, draw_cost, styles
from recurrent_cells.reports.metric import Metric
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
