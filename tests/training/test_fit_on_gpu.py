"""What only a GPU can show of programs."""

import pytest
import torch

from recurrent_cells.data.splits import load_splits
from recurrent_cells.interrupts import Interruption
from recurrent_cells.models.layers import RecurrentLayers
from recurrent_cells.tasks import task_of
from recurrent_cells.training import program
from recurrent_cells.training.device import resolve_device, use_determinism
from recurrent_cells.training.fit import Fit
from recurrent_cells.training.graph import graphed
from tests.training.test_fit import Kept, alone, assert_same, packed

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
]
ON_GPU = ("trainer.accelerator=gpu", "trainer.max_steps=120")


@pytest.mark.parametrize("overrides", [(), ("model.num_layers=2", "model.dropout=0.3", "model.output_dropout=0.2")])
@pytest.mark.parametrize("cell", ["simple_rnn", "lstm", "gru"])
def test_each_is_what_it_is_alone(configs, tmp_path, cell, overrides):
    each = [{"seed": 0}, {"seed": 1, "optimizer.clip_norm": 0.3}]
    chosen = configs(f"model={cell}", *ON_GPU, *overrides, each=each)
    use_determinism(True)
    kept = packed(chosen, tmp_path)
    for place, config in enumerate(chosen):
        wanted, points = alone(config, tmp_path)
        assert_same(kept.states[place], wanted, tolerance=1e-8)
        assert_same(kept.points[place], points, tolerance=1e-8)


@pytest.mark.parametrize("overrides", [(), ("model.num_layers=2", "model.dropout=0.3")], ids=["plain", "dropout"])
@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed", "16-mixed"])
def test_a_graph_does_what_its_kernels_do(configs, tmp_path, monkeypatch, precision, count, overrides):
    each = [{"seed": seed} for seed in range(count)]
    chosen = configs("model=lstm", *ON_GPU, *overrides, f"trainer.precision={precision}", each=each)
    recorded = []
    monkeypatch.setattr(program, "graphed", lambda *given: recorded.append(graphed(*given)) or recorded[-1])
    as_graph = packed(chosen, tmp_path, most=1 if precision == "16-mixed" else 100)
    assert recorded
    assert None not in recorded
    monkeypatch.setattr(program, "graphed", lambda compute, inputs: None)
    kernels = packed(chosen, tmp_path, most=1 if precision == "16-mixed" else 100)
    for place in range(count):
        assert_same(as_graph.points[place], kernels.points[place], tolerance=1e-5)


@pytest.mark.parametrize("cell", ["simple_rnn", "lstm", "gru"])
def test_mixed_precision_learns(configs, tmp_path, cell):
    each = [{"seed": seed, "model.output_dropout": 0.1 * seed} for seed in range(3)]
    kept = packed(configs(f"model={cell}", *ON_GPU, "trainer.precision=bf16-mixed", each=each), tmp_path)
    for points in kept.points:
        losses = [value for (key, _), value in points.items() if key == "train/loss"]
        assert losses[-1] < losses[0]


def test_a_pack_that_is_evaluated_at_its_start_learns(configs, tmp_path):
    each = [{"seed": seed} for seed in range(2)]
    kept = packed(configs("model=gru", *ON_GPU, "trainer.eval_at_start=true", "optimizer.lr=0.01", each=each), tmp_path)
    for points in kept.points:
        losses = [value for (key, _), value in points.items() if key == "val/loss"]
        assert losses[-1] < 0.9 * losses[0]


@pytest.mark.parametrize("bidirectional", [False, True])
def test_a_step_with_lengths_can_be_recorded(bidirectional):
    use_determinism(True)
    layers = RecurrentLayers("lstm", 3, 8, bidirectional=bidirectional).cuda()
    trained = [weights for weights in layers.parameters() if weights.requires_grad]

    def gradients(x, lengths):
        outputs, last = layers(x, lengths)
        return torch.autograd.grad(outputs.sum() + sum(it.square().sum() for it in last), trained)

    lengths = torch.tensor([7, 1, 4], device="cuda")
    assert graphed(gradients, [torch.randn(3, 7, 3, device="cuda"), lengths]) is not None


def test_programs_are_as_large_as_the_memory_is_measured_to_hold(configs, tmp_path):
    chosen = configs("model=gru", *ON_GPU, each=[{"seed": seed} for seed in range(8)])
    kept = Kept(tmp_path)
    members = [kept.add(config) for config in chosen]
    device = resolve_device(chosen[0].trainer)
    task, data = task_of("auto", "last"), device.hold(load_splits(chosen[0].data))
    assert Fit(data, task, device, Interruption(), kept.end)._as_many_as_fit(members) > 8
    kept.train(most=None)
    assert kept.errors == dict.fromkeys(range(8))


@pytest.mark.parametrize("overrides", [(), ("model.num_layers=2", "model.dropout=0.3", "optimizer.clip_norm=1")])
@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed", "16-mixed"])
def test_a_trial_that_goes_on_is_the_same_to_the_bit(configs, tmp_path, precision, overrides):
    use_determinism(True)
    shared = ("model=lstm", *ON_GPU, "optimizer.schedule=none", f"trainer.precision={precision}", *overrides)
    (config,), (half,) = (configs(*shared, f"trainer.max_steps={steps}", each=[{"seed": 0}]) for steps in (120, 40))
    wanted, _ = alone(config, tmp_path)
    first, _ = alone(half, tmp_path)
    found, _ = alone(config, tmp_path, first)
    assert_same(found, wanted, tolerance=0)


def test_a_recording_that_fails_leaves_the_gpu_as_it_was():
    x = torch.ones(3, device="cuda")
    before = torch.cuda.current_stream()
    assert graphed(lambda it: (it * it.sum().item(),), [x]) is None  # the host reads
    assert torch.cuda.current_stream() == before
    torch.cuda.empty_cache()
    assert torch.nn.functional.dropout(x, 0.5).isfinite().all()
    replay = graphed(lambda it: (2 * it,), [x])
    assert replay is not None
    assert replay(x + 1)[0].tolist() == [4.0, 4.0, 4.0]
