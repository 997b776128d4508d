import time

import pytest
from omegaconf import OmegaConf

from recurrent_cells.config.schema import Config
from recurrent_cells.errors import UserError
from recurrent_cells.sweeps.grid import Composer, compose_grid
from recurrent_cells.tables import CELLS


def points(hydra_context, *arguments: str, params=None):
    loader, master = hydra_context
    return compose_grid(Composer(loader, master), params or {}, arguments)


def test_the_grid_is_the_product_in_order(hydra_context):
    grid = points(hydra_context, "model=lstm,gru", "seed=range(0,2)", "model.hidden_size=64")
    assert [(point.config.model.cell, point.config.seed) for point in grid] == [
        ("lstm", 0),
        ("lstm", 1),
        ("gru", 0),
        ("gru", 1),
    ]
    assert all(point.config.model.hidden_size == 64 for point in grid)
    assert grid[0].varied == {"model": "lstm", "seed": "0"}


@pytest.mark.slow
def test_a_point_is_what_hydra_composes(hydra_context):
    loader, master = hydra_context
    grid = points(
        hydra_context,
        *("model=simple_rnn,gru", "optimizer=adam,sgd", "optimizer.lr=1e-3,0.5", "model.head=[tanh,linear]"),
        *("trainer.max_steps=null,7", "trainer=cpu,debug", "tracking.experiment='a b,c'"),
    )
    assert len(grid) == 32
    for point in grid:
        composed = loader.load_sweep_config(master, list(point.overrides))
        OmegaConf.set_struct(composed, False)
        del composed["hydra"]
        assert OmegaConf.to_object(composed) == point.config


def test_settings_of_a_cell_alone_are_swept_as_others(hydra_context):
    grid = points(hydra_context, "model=slstm", "model.options.heads=1,2")
    assert [point.config.model.options["heads"] for point in grid] == [1, 2]
    assert {point.config.model.options["forget_gate"] for point in grid} == {"sigmoid"}


@pytest.mark.parametrize(
    "arguments", [("model.hidden_size=${seed}",), ("data.val_size=${model.hidden_size}", "model.hidden_size=${seed}")]
)
def test_a_value_that_refers_to_another_follows_it(hydra_context, arguments):
    grid = points(hydra_context, "seed=20,30", *arguments)
    assert [point.config.model.hidden_size for point in grid] == [20, 30]
    if len(arguments) > 1:
        assert [point.config.data.val_size for point in grid] == [20, 30]


def test_a_value_of_a_config_file_that_refers_to_another_follows_it(hydra_context):
    grid = points(hydra_context, "+study=lstm-gru", "study.size=quick,full", "sweep.phases=[]")
    archives = [f"docs/studies/lstm-gru/{size}.parquet" for size in ("quick", "full")]
    assert [point.config.sweep.archive for point in grid] == archives


def test_grids_of_one_composer_do_not_share_values(hydra_context):
    compose = Composer(*hydra_context)
    (first,) = compose_grid(compose, {}, ["model=gru", "optimizer.lr=0.5"])
    (second,) = compose_grid(compose, {}, ["model=gru", "seed=7"])
    assert (first.config.optimizer.lr, first.config.seed) == (0.5, 0)
    assert (second.config.optimizer.lr, second.config.seed) == (0.003, 7)


def test_the_command_line_replaces_a_named_sweep_key_by_key(hydra_context):
    grid = points(hydra_context, "seed=5", params={"model": "lstm,gru", "seed": "0,1"})
    assert [(point.config.model.cell, point.config.seed) for point in grid] == [("lstm", 5), ("gru", 5)]


def test_all_faults_are_told_together(hydra_context):
    with pytest.raises(UserError) as caught:
        points(hydra_context, "model.hidden_size=32,0,-1", "model.dropout=0,1.5", "seed=0,1")
    message = str(caught.value)
    assert "model.hidden_size=0" in message
    assert "model.hidden_size=-1" in message
    assert "model.dropout=1.5" in message
    assert len(message.splitlines()) <= 8


def test_an_unknown_option_among_good_ones_is_told(hydra_context):
    with pytest.raises(UserError, match=f"model=foo: no such option; allowed are {', '.join(CELLS.names)}"):
        points(hydra_context, "model=lstm,foo")


def test_intervals_are_for_samplers(hydra_context):
    with pytest.raises(UserError, match="a grid has no intervals"):
        points(hydra_context, "optimizer.lr=interval(0,1)")


@pytest.mark.parametrize("override", ["sweep.rerun=all,missing", "tracking.experiment=a,b"])
def test_what_holds_for_a_whole_sweep_has_one_value(hydra_context, override):
    with pytest.raises(UserError, match=f"^{override}: a sweep has one value of it; give one$"):
        points(hydra_context, "seed=0,1", override)


def test_a_thousand_points_take_seconds(hydra_context):
    start = time.process_time()
    grid = points(hydra_context, "model=simple_rnn,lstm,gru", "seed=range(0,84)", "optimizer.lr=1e-3,3e-3,1e-2,3e-2")
    assert len(grid) == 1008
    assert isinstance(grid[0].config, Config)
    assert time.process_time() - start < 5  # of a core, whatever else the machine does


def test_a_known_key_that_is_forced_is_the_key(hydra_context):
    (first, second) = points(hydra_context, "++seed=0,1")
    assert (first.varied, second.config.seed) == ({"seed": "0"}, 1)
    with pytest.raises(UserError, match="a sweep has one value of it"):
        points(hydra_context, "++tracking.experiment=a,b")


@pytest.mark.parametrize("given", ["seed=range(0,1e308,1e-10)", "optimizer.lr=range(0,1,1e-12)"])
def test_a_range_of_more_values_than_can_be_counted_is_refused(hydra_context, given):
    with pytest.raises(UserError, match="more than 100,000 trials"):
        points(hydra_context, given)
