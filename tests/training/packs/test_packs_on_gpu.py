"""What only a GPU can show of packs."""

import pytest
import torch

from recurrent_cells.data.splits import load_splits
from recurrent_cells.interrupts import Interruption
from recurrent_cells.training.device import resolve_device, use_determinism
from recurrent_cells.training.packs import pack as module
from recurrent_cells.training.packs.fit import PackFit
from tests.training.packs.test_packs import Kept, alone, assert_same, packed

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
]
ON_GPU = ("trainer.accelerator=gpu", "trainer.max_steps=120")


@pytest.mark.parametrize("cell", ["simple_rnn", "lstm", "gru"])
def test_each_is_what_it_is_alone(configs, tmp_path, cell):
    chosen = configs(f"model={cell}", *ON_GPU, each=[{"seed": 0}, {"seed": 1, "optimizer.clip_norm": 0.3}])
    use_determinism(True)
    kept = packed(chosen)
    for place, config in enumerate(chosen):
        wanted, points = alone(config, tmp_path)
        assert_same(kept.states[place], wanted, tolerance=1e-8)
        assert_same(kept.points[place], points, tolerance=1e-8)


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_a_graph_does_what_its_kernels_do(configs, monkeypatch, precision):
    chosen = configs("model=lstm", *ON_GPU, f"trainer.precision={precision}", each=[{"seed": 0}, {"seed": 1}])
    as_graph = packed(chosen)
    monkeypatch.setattr(module, "graphed", lambda step, *_: step)
    one_by_one = packed(chosen)
    for place in range(2):
        assert_same(as_graph.points[place], one_by_one.points[place], tolerance=1e-5)


@pytest.mark.parametrize("cell", ["simple_rnn", "lstm", "gru"])
def test_mixed_precision_learns(configs, cell):
    each = [{"seed": seed, "model.output_dropout": 0.1 * seed} for seed in range(3)]
    kept = packed(configs(f"model={cell}", *ON_GPU, "trainer.precision=bf16-mixed", each=each))
    for points in kept.points:
        losses = [value for (key, _), value in points.items() if key == "train/loss"]
        assert losses[-1] < losses[0]


def test_packs_are_as_large_as_the_memory_is_measured_to_hold(configs):
    chosen = configs("model=gru", *ON_GPU, each=[{"seed": seed} for seed in range(8)])
    kept = Kept()
    members = [kept.add(config) for config in chosen]
    fit = PackFit(load_splits(chosen[0].data), resolve_device(chosen[0].trainer), kept, Interruption())
    assert fit._as_many_as_fit(members) > 8
    fit(members)
    assert kept.errors == dict.fromkeys(range(8))
