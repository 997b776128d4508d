"""The trials of a sweep are found through its plan, whatever became of them."""

import pytest

from recurrent_cells.errors import UserError
from recurrent_cells.sweeps.results import read_sweeps
from tests.written_sweeps import Made, make_sweep

__all__ = ["make_sweep"]  # a fixture


def test_every_planned_trial_has_its_state(store, make_sweep):
    parent = make_sweep(
        Made("gru", 0),
        Made("gru", 1, state="FAILED", tags={"error": "the loss is nan"}),
        Made("gru", 2, state="KILLED"),
        Made("gru", 3, state="missing"),
        Made("gru", 4, tags={"manifest": '{"best.ckpt":[7,""]}'}),
    )
    _, data = read_sweeps(store, parent)
    assert [trial.state for trial in data.trials] == ["finished", "failed", "killed", "missing", "damaged"]
    assert [trial.name for trial in data.unfinished] == [f"gru-h8x1-s{seed}" for seed in (1, 2, 3, 4)]
    assert [data.unfinished[place].error for place in (0, 3)] == ["the loss is nan", "best.ckpt is missing"]
    assert data.swept == {"seed"}


def test_latest_is_the_one_last_at_work(store, make_sweep):
    first = make_sweep(Made("gru", 0), name="first")
    second = make_sweep(Made("gru", 1), name="second")
    assert read_sweeps(store)[1].sweeps[0].run_id == second
    store.client.set_tag(first, "process.heartbeat", "99999999999")  # the same command opened it again
    assert read_sweeps(store)[1].sweeps[0].run_id == first


def test_several_are_joined_and_shared_trials_count_once(store, make_sweep):
    a = make_sweep(Made("gru", 0), Made("gru", 1), name="a")
    b = make_sweep(Made("gru", 1, state="missing"), Made("lstm", 0), name="b")
    _, data = read_sweeps(store, f"{a},{b[:8]}")
    assert sorted(trial.name for trial in data.finished) == ["gru-h8x1-s0", "gru-h8x1-s1", "lstm-h8x1-s0"]
    assert not data.unfinished
    assert data.swept == {"seed", "model"}


def test_a_sweep_without_a_plan_has_the_trials_that_name_it(store, make_sweep):
    parent = make_sweep(Made("gru", 0), Made("lstm", 0), plan=False)
    _, data = read_sweeps(store, parent)
    assert [trial.name for trial in data.finished] == ["gru-h8x1-s0", "lstm-h8x1-s0"]
    assert data.swept is None


def test_trials_finished_before_a_rerun_began_do_not_count(store, make_sweep):
    parent = make_sweep(Made("gru", 0))
    store.client.set_tag(parent, "sweep.since", "99999999999999")
    assert [trial.state for trial in read_sweeps(store, parent)[1].trials] == ["missing"]


def test_no_such_sweep(store, make_sweep):
    with pytest.raises(UserError, match=r"the store .* has no sweep"):
        read_sweeps(store)
    parent = make_sweep(Made("gru", 0))
    with pytest.raises(UserError, match=rf"sweep=feed: no such sweep; .* the latest is {parent}"):
        read_sweeps(store, "feed")


def test_a_choice_of_several_keys_is_read_as_hydra_reads_it(store, make_sweep):
    model = "{cell:lstm,head:[linear,relu,linear],init:{kind:keras,gain:0.5},name:'a, b',bias:null}"
    parent = make_sweep(Made("gru", 0, params={"model": model}), Made("gru", 0, params={"model": "{cell:gru}"}))
    _, data = read_sweeps(store, parent)
    assert data.trials[0].overrides == {
        "model": "gru",  # as every trial of `make_sweep` has
        "seed": "0",
        "model.cell": "lstm",
        "model.head": "[linear,relu,linear]",
        "model.init.kind": "keras",
        "model.init.gain": "0.5",
        "model.name": "a, b",
        "model.bias": "null",
    }
    assert data.swept == {"model.cell"}
