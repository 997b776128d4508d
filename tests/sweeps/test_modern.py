"""The sweep of all cells at equal parameters."""

import pytest
from omegaconf import OmegaConf

from recurrent_cells.tables import CELLS
from src import REPOSITORY

FILE = REPOSITORY / "conf" / "sweep" / "modern.yaml"


def names() -> list[str]:
    listed: str = OmegaConf.load(FILE).hydra.sweeper.params.model
    return listed.split(",")


def is_near(count: str) -> bool:
    wanted = int(OmegaConf.load(FILE).model.match.removeprefix("parameters:"))
    return abs(int(count) - wanted) <= 0.02 * wanted


def test_no_cell_is_forgotten():
    assert sorted(names()) == CELLS.names


@pytest.mark.slow
def test_its_plan_is_four_rates_with_two_seeds_and_fresh_seeds_of_the_best(sweep):
    answer = sweep("+sweep=modern", "sweep.dry_run=true")
    assert answer.code == 0
    rows = [line.split() for line in answer.out.splitlines() if "-h" in line]
    columns = ("cell", "seed", "rate", "parameters")
    planned = [dict(zip(columns, row[1:5], strict=True)) for row in rows]
    for cell in names():
        of_cell = [it for it in planned if it["cell"] == cell]
        assert len({it["rate"] for it in of_cell}) == 4
        assert {it["seed"] for it in of_cell} == {"100", "101", *"01234"}
        assert all(is_near(it["parameters"]) for it in of_cell)


@pytest.mark.slow
def test_all_cells_train_with_equally_many_parameters(sweep, trials):
    phases = "sweep.phases=[{seed:'8',optimizer.lr:'0.001,0.003'},{seed:'0'}]"
    assert sweep("+sweep=modern", phases, "trainer.max_steps=3").code == 0
    assert {it.params["model.cell"] for it in trials()} == set(names())
    assert len(trials()) == 3 * len(names())
    assert all(is_near(it.params["n_params"]) for it in trials())
