"""Steps of a trial and of a pack on a GPU that is not there: where each tensor lies, and that the host reads none."""

from collections import Counter
from types import SimpleNamespace

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from recurrent_cells.data.splits import load_splits
from recurrent_cells.models.routes import torch_fused, torch_loop
from recurrent_cells.tables import CELLS
from recurrent_cells.tasks import task_of
from recurrent_cells.training import program as programs
from recurrent_cells.training.device import Device
from recurrent_cells.training.program import Program
from tests.models.fake_gpu import fake_gpu
from tests.training.test_fit import Kept

NAMES = ("simple_rnn", "lstm", "gru")


class Launches(TorchDispatchMode):
    """Operations by their names."""

    def __init__(self) -> None:
        super().__init__()
        self.names: Counter[str] = Counter()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.names[function.name().removeprefix("aten::").partition(".")[0]] += 1
        return function(*args, **(kwargs or {}))


@pytest.fixture
def no_engine(monkeypatch):
    """Gradients with nothing in them: autograd's engine would look for the GPU."""

    def gradients(losses, trained):
        assert not torch.is_autocast_enabled("cuda")  # which the way back would be under, too
        return [torch.empty_like(it) for it in trained]

    monkeypatch.setattr(torch.autograd, "grad", gradients)
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda tensor: tensor)


def all_on_gpu(tensors) -> bool:
    return all(it.device.type == "cuda" for it in tensors if it is not None)


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["bf16-mixed", "32-true", "64-true"])
@pytest.mark.parametrize(
    ("count", "optimizer"),
    [
        (1, "adam"),
        (1, "rmsprop"),
        (3, "adam"),
        (3, "adamw"),
        (3, "rmsprop"),
        (3, "sgd"),
    ],  # torch's fused SGD has no shapes alone
)
def test_steps_stay_on_the_gpu(configs, tmp_path, monkeypatch, no_engine, count, optimizer, precision):
    overrides = ("model=gru", f"optimizer={optimizer}", "optimizer.momentum=0.5", "optimizer.clip_norm=1")
    each = [{"seed": seed, "optimizer.recurrent_lr_factor": 0.5 * (1 + seed)} for seed in range(count)]
    chosen, kept = configs(*overrides, "trainer.cuda_graph=false", each=each), Kept(tmp_path)
    device, splits = Device("gpu", precision, "fake"), load_splits(chosen[0].data)
    for config in chosen:
        kept.add(config)
    with fake_gpu(monkeypatch, precision):
        data = device.hold(splits)
        program = Program(kept.members, data, task_of("auto", "last"), device)
        program.train(3)  # a read by the host raises
        program.train(5)
        outputs = program.outputs(data.val.sequences)
        window = program._window
        assert all_on_gpu([outputs, window._sums, *program.networks.trained])
        assert {it.dtype for it in program.networks.trained} == {device.dtype}
    assert kept.members[0].progress.step == 5


@pytest.mark.parametrize("count", [1, 3])
def test_residual_blocks_stay_on_the_gpu(configs, tmp_path, monkeypatch, no_engine, count):
    overrides = ("model=gru", "model.block=residual", "model.num_layers=2", "trainer.cuda_graph=false")
    chosen, kept = configs(*overrides, each=[{"seed": seed} for seed in range(count)]), Kept(tmp_path)
    device, splits = Device("gpu", "bf16-mixed", "fake"), load_splits(chosen[0].data)
    for config in chosen:
        kept.add(config)
    with fake_gpu(monkeypatch, "bf16-mixed"):
        program = Program(kept.members, device.hold(splits), task_of("auto", "last"), device)
        program.train(3)
        assert all_on_gpu(program.networks.trained)
    assert kept.members[0].progress.step == 3


@pytest.mark.parametrize("outputs_are_read", [False, True])
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("cell", NAMES)
def test_a_packs_layer_goes_forward_and_backward_on_the_gpu(monkeypatch, cell, reverse, outputs_are_read):
    kind, (count, num_steps, batch, features, hidden) = CELLS[cell](), (2, 5, 4, 3, 6)
    with fake_gpu(monkeypatch, "32-true"), torch.no_grad():
        shapes = kind.shapes(features, hidden)
        weights = [torch.empty(count, *shape, device="cuda") for shape in shapes.values()]
        x = torch.empty(count, batch, num_steps, features, device="cuda").transpose(1, 2)
        context = SimpleNamespace(
            set_materialize_grads=lambda wanted: None, needs_input_grad=[True] * 7, save_for_backward=lambda *kept: None
        )
        route, steps = (
            (torch_fused, torch_fused.STEPS[cell]) if cell in torch_fused.STEPS else (torch_loop, kind.by_hand)
        )
        outputs, last = route._Layer.forward(context, steps, reverse, x, *weights)
        context.saved_tensors = weights[:2] if route is torch_fused else weights[:1]
        d_outputs = torch.empty_like(outputs) if outputs_are_read else None
        found = route._Layer.backward(context, d_outputs, torch.empty_like(last))
        gradients = [it for it in found if it is not None]
        assert all_on_gpu([outputs, last, *gradients])
        assert [it.shape for it in gradients] == [x.shape, *(weight.shape for weight in weights)]
        assert {it.dtype for it in (outputs, last, *gradients)} == {torch.float32}


@pytest.mark.slow
@pytest.mark.parametrize("count", [1, 3])
def test_masks_are_drawn_at_once_and_steps_can_be_a_graph(configs, tmp_path, monkeypatch, no_engine, count):
    each = [{"seed": seed, "model.output_dropout": 0.1 + 0.1 * seed} for seed in range(count)]
    chosen, kept = configs("model=lstm", "model.num_layers=2", each=each), Kept(tmp_path)
    device, splits = Device("gpu", "32-true", "fake"), load_splits(chosen[0].data)
    for config in chosen:
        kept.add(config)
    recorded = []
    monkeypatch.setattr(programs, "graphed", lambda compute, inputs: recorded.append(compute))
    with fake_gpu(monkeypatch, "32-true"):
        program = Program(kept.members, device.hold(splits), task_of("auto", "last"), device)
        with Launches() as seen:
            program.train(1)
    assert len(recorded) == 1
    assert seen.names["bernoulli_"] == 0
    assert seen.names["ge"] == 1
