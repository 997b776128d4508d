"""The steps of a program, computed kernel by kernel or recorded."""

import pytest

from recurrent_cells.data.splits import load_splits
from recurrent_cells.tasks import task_of
from recurrent_cells.training import program as module
from recurrent_cells.training.device import resolve_device
from recurrent_cells.training.program import Program
from tests.training.test_fit import Kept, assert_same


def rehearsed(compute, inputs):
    """What `graphed` gives but for CUDA: the results of every call lie in the memory of the first."""
    outputs = tuple(tensor.clone() for tensor in compute(*(tensor.clone() for tensor in inputs)))

    def replay(*given):
        for place, value in zip(outputs, compute(*given), strict=True):
            place.copy_(value)
        return outputs

    return replay


def trained(configs, folder, record):
    """The states of trials after 30 steps as one program."""
    kept = Kept(folder)
    members = [kept.add(config) for config in configs]
    config = configs[0]
    device = resolve_device(config.trainer)
    task = task_of(config.task, config.model.readout)
    program = Program(members, device.hold(load_splits(config.data)), task, device)
    program._to_be_graphed = record
    for stop in (10, 30):
        program.train(stop)
    program.log_training()
    return program.states(), kept.points


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("overrides", [(), ("model=gru", "optimizer=sgd"), ("model=simple_rnn", "optimizer=rmsprop")])
def test_recorded_steps_are_the_steps(configs, tmp_path, monkeypatch, count, overrides):
    monkeypatch.setattr(module, "graphed", rehearsed)
    clips = ("null", "0.5", "1")
    each = [{"seed": seed, "optimizer.clip_norm": clips[seed]} for seed in range(count)]
    made = configs("model=lstm", *overrides, each=each)
    found, points = trained(made, tmp_path, True)
    wanted, wanted_points = trained(made, tmp_path, False)
    for place in range(count):
        assert_same(found[place], wanted[place], tolerance=0)
        assert_same(points[place], wanted_points[place], tolerance=0)


def test_a_graph_that_cannot_be_recorded_is_done_without(configs, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "graphed", lambda compute, inputs: None)
    made = configs("model=lstm", each=[{"seed": 0}])
    assert_same(trained(made, tmp_path, True)[0], trained(made, tmp_path, False)[0], tolerance=0)


def test_large_batches_are_gathered_step_by_step_and_are_the_same(configs, tmp_path, monkeypatch):
    made = configs("model=gru", each=[{"seed": 0}, {"seed": 1}])
    wanted, _ = trained(made, tmp_path, False)
    monkeypatch.setattr(module, "MOST_GATHERED", 0)
    found, _ = trained(made, tmp_path, False)
    assert_same(found, wanted, tolerance=0)


def test_the_state_of_a_trial_has_its_rate_of_the_last_step(configs, tmp_path):
    for count in (1, 2):
        made = configs("model=lstm", "optimizer.schedule=cosine", each=[{"seed": seed} for seed in range(count)])
        states, _ = trained(made, tmp_path, False)
        rates = {state["optimizer"]["param_groups"][0]["lr"] for state in states}
        assert len(rates) == 1
        assert 0 < rates.pop() < made[0].optimizer.lr


def test_a_member_left_alone_is_computed_as_among_others_to_the_bit(configs, tmp_path):
    made = configs("model=lstm", "trainer.precision=32-true", each=[{"seed": 0}, {"seed": 1}])
    together, _ = trained(made, tmp_path, False)
    config = made[1]
    member, device = Kept(tmp_path).add(config), resolve_device(config.trainer)
    data = device.hold(load_splits(config.data))
    alone = Program([member], data, task_of(config.task, config.model.readout), device, stacked=True)
    for stop in (10, 30):
        alone.train(stop)
    alone.log_training()
    assert_same(alone.states()[0], together[1], tolerance=0)
