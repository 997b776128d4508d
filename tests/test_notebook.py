"""The notebook of docs/ runs, cell after cell, on a small sweep."""

import json

import matplotlib
import pytest
from matplotlib import pyplot

from src import REPOSITORY
from tests.written_sweeps import Made, make_sweep, store

__all__ = ["make_sweep", "store"]  # fixtures


@pytest.fixture
def cells():
    """The code of the notebook's cells, in their order."""
    notebook = json.loads((REPOSITORY / "docs" / "results.ipynb").read_text())
    assert all(not cell.get("outputs") for cell in notebook["cells"])
    return ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]


def test_the_notebook_runs(make_sweep, cells):
    matplotlib.use("agg")
    make_sweep(*(Made(cell, seed, 0.9 + seed / 100) for cell in ("gru", "lstm") for seed in range(3)))
    known: dict[str, object] = {}
    for number, code in enumerate(cells):
        exec(compile(code, f"results.ipynb[{number}]", "exec"), known)
    assert known["mean"]["gru"].tolist() == pytest.approx([0.5, 0.8, 0.9])
    assert len(known["pairs"]) == 1
    pyplot.close("all")
