import pytest

from recurrent_cells.errors import UserError
from recurrent_cells.sweeps.search.ranges import Choices, Interval
from recurrent_cells.sweeps.search.space import read_space


def space(hydra_context, *arguments, params=None):
    loader, master = hydra_context
    return read_space(loader, master, params or {}, arguments)


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("optimizer.lr=interval(0.001,0.1)", Interval(0.001, 0.1)),
        ("optimizer.lr=tag(log,interval(1e-4,1e-2))", Interval(1e-4, 1e-2, log=True)),
        ("model.hidden_size=int(interval(32,256))", Interval(32, 256, integer=True)),
        ("model.hidden_size=interval(32,256)", Interval(32, 256, integer=True)),
        ("model.hidden_size=tag(log,int(interval(32,256)))", Interval(32, 256, log=True, integer=True)),
        ("model.hidden_size=range(16,65,16)", Interval(16, 64, integer=True, step=16)),
        ("model.dropout=range(0,0.5,0.25)", Interval(0, 0.25, step=0.25)),
        ("model=choice(lstm,gru)", Choices(("lstm", "gru"))),
        ("model=lstm,gru,lstm", Choices(("lstm", "gru"))),
        ("model={cell: gru, hidden_size: 8},{cell: lstm}", Choices(("{cell:gru,hidden_size:8}", "{cell:lstm}"))),
    ],
)
def test_ranges_in_the_syntax_of_hydra(hydra_context, given, meant):
    assert list(space(hydra_context, given).ranges.values()) == [meant]


def test_the_command_line_replaces_a_named_search_key_by_key(hydra_context):
    params = {"model": "lstm,gru", "optimizer.lr": "interval(0.1,0.2)", "model.hidden_size": "4,8"}
    found = space(hydra_context, "model=gru", "optimizer.lr=0.01,0.02", params=params)
    assert found.fixed == ("model=gru",)
    assert found.ranges == {"model.hidden_size": Choices(("4", "8")), "optimizer.lr": Choices(("0.01", "0.02"))}


def test_a_point_is_what_hydra_composes_from_its_values(hydra_context):
    found = space(hydra_context, "seed=3", "model=lstm,gru", "optimizer.lr=interval(0.1,0.2)", "model.hidden_size=4,8")
    texts = found.texts({"model": "gru", "optimizer.lr": 0.1234567, "model.hidden_size": "8"})
    point = found.point(texts)
    assert point.overrides == ("seed=3", "model=gru", "optimizer.lr=0.1235", "model.hidden_size=8")
    assert (point.config.model.cell, point.config.optimizer.lr, point.config.seed) == ("gru", 0.1235, 3)
    assert point.varied == {"model": "gru", "optimizer.lr": "0.1235", "model.hidden_size": "8"}
    assert found.values(texts) == {"model": "gru", "optimizer.lr": 0.1235, "model.hidden_size": "8"}


def test_rounding_leaves_no_interval():
    interval = Interval(0.123444, 0.223456)
    assert [interval.text(value) for value in (0.123444, 0.2, 0.223456)] == ["0.123444", "0.2", "0.223456"]


def test_every_end_is_checked_once(hydra_context):
    ranges = ("model=lstm,gru,foo", "model.hidden_size=int(interval(0,8))", "model.dropout=interval(0,1.5)")
    with pytest.raises(UserError) as caught:
        space(hydra_context, *ranges).corners()
    message = str(caught.value)
    assert "model=foo: no such option" in message
    assert "model.hidden_size=0: allowed is an integer of at least 1" in message
    assert "model.dropout=1.5: allowed is a number of at least 0 and below 1" in message
    found = space(hydra_context, "model=lstm,gru", "model.hidden_size=int(interval(4,8))").corners()
    assert [tuple(point.varied.values()) for point in found] == [("lstm", "4"), ("gru", "4"), ("lstm", "8")]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("model.hidden_size=8", "a search needs a range: KEY=interval(LOW,HIGH)"),
        ("seed=0,1,2", "seed=0,1,2: a search would find the luckiest seed; give one"),
        ("sweep.retries=0,1", "sweep.retries=0,1: a search has one value of it; give one"),
        (
            "optimizer.lr=interval(2,1)",
            "optimizer.lr=interval(2,1): allowed is an interval of finite numbers that begins",
        ),
        ("model.hidden_size=interval(1,inf)", "allowed is an interval of finite numbers that begins below its end"),
        ("++seed=0,1,2", "seed=0,1,2: a search would find the luckiest seed; give one"),
        ("optimizer.lr=tag(log,interval(0,1))", "allowed on a logarithmic scale is an interval that begins above 0"),
        ("model.hidden_size=interval(1.5,8)", "allowed are integers as ends"),
        ("optimizer.lr=tag(ln,interval(0,1))", "there is no tag ln; allowed is log"),
        ("optimizer.lr=tag(log,choice(1,2))", "choices have no scale; the tag log is for intervals"),
        ("model.hidden_size=range(8,8)", "the range is empty"),
    ],
)
def test_ranges_that_make_no_sense(hydra_context, given, words):
    with pytest.raises(UserError) as caught:
        space(hydra_context, given)
    assert words in str(caught.value)


def test_a_grid_has_each_combination_once_in_an_order_of_its_seed(hydra_context):
    found = space(hydra_context, "model=lstm,gru", "model.hidden_size=range(4,13,4)")
    grid = found.grid(seed=0)
    assert sorted(tuple(point.values()) for point in grid) == [
        (cell, size) for cell in ("gru", "lstm") for size in (4, 8, 12)
    ]
    assert grid == found.grid(seed=0) != found.grid(seed=1)
    with pytest.raises(UserError, match=r"sampler=grid: optimizer.lr has no steps; give choices \(a,b or range"):
        space(hydra_context, "model=lstm,gru", "optimizer.lr=interval(0,1)").grid(seed=0)
