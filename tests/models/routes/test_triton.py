"""The layers in Triton give what the reference does in float64, interpreted on a CPU; compiled for sm_90 they fit."""

import importlib
import sys
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn

from benchmarks.triton_kernels import compiled
from recurrent_cells.errors import UserError
from recurrent_cells.models.layers import RecurrentLayers, check_kernel
from recurrent_cells.models.routes import numpy_loop, reference, torch_loop, torch_nn, triton
from recurrent_cells.tables import CELLS
from tests.models.layers import CELLS as NAMES
from tests.models.layers import results, taken

pytest.importorskip("triton", reason="torch brings Triton on Linux alone")
H100_MEMORY = 227 * 1024


def forget_kernels() -> None:
    """Let kernels be defined anew: when one is defined Triton decides whether to interpret it."""
    for name in [name for name in sys.modules if name.startswith("recurrent_cells.models.routes.triton_kernels")]:
        del sys.modules[name]


@pytest.fixture
def interpreted(monkeypatch) -> Iterator[None]:
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    forget_kernels()
    yield
    forget_kernels()


def pair(cell: str, hidden_size: int, networks: int | None = None, **settings) -> tuple[RecurrentLayers, ...]:
    """Layers of one network or of several at once: by the kernels, and by the reference in float64."""

    def layers(kernel: str) -> RecurrentLayers:
        torch.manual_seed(0)
        alone = [RecurrentLayers(cell, 3, hidden_size, kernel=kernel, **settings) for _ in range(networks or 1)]
        if networks is not None:
            for name, parameter in list(alone[0].named_parameters()):
                # As those of a pack, these do not lie in one piece.
                values = torch.stack([network.get_parameter(name).detach() for network in alone], dim=-1).movedim(-1, 0)
                alone[0].register_parameter(name, nn.Parameter(values, parameter.requires_grad))
        return alone[0]

    return layers("triton"), layers("reference").double()


def assert_close(found: list[Tensor], expected: list[Tensor], tolerance: float = 2e-6) -> None:
    for ours, exact in zip(found, expected, strict=True):
        assert ours.dtype == torch.float32
        bound = tolerance * max(1.0, exact.abs().max().item())
        torch.testing.assert_close(ours.double(), exact, rtol=0, atol=bound)


@pytest.mark.parametrize("cell", NAMES)
@pytest.mark.parametrize(
    ("networks", "batch", "steps", "hidden_size", "settings"),
    [
        (None, 5, 7, 50, {}),
        (None, 5, 1, 17, {"bidirectional": True}),
        (1, 5, 4, 17, {"bidirectional": True}),
        (3, 37, 2, 16, {"biases": 1}),
        (3, 5, 2, 17, {"num_layers": 2}),
    ],
    ids=str,
)
def test_outputs_and_gradients(interpreted, monkeypatch, cell, networks, batch, steps, hidden_size, settings):
    routes = taken(monkeypatch)
    x = torch.randn(*([] if networks is None else [networks]), batch, steps, 3)
    ours, exact = pair(cell, hidden_size, networks, **settings)
    found = results(ours, x)
    assert set(routes) == {triton}
    assert_close(found, results(exact, x.double()))


@pytest.mark.parametrize("cell", NAMES)
@pytest.mark.parametrize(
    ("reverse", "read"),
    [
        (False, lambda outputs, last: outputs),
        (True, lambda outputs, last: outputs.mean(dim=-2)),
        (False, lambda outputs, last: last[-1]),
        (True, lambda outputs, last: last[-1]),
    ],
    ids=["outputs", "their mean in reverse", "last state", "last state in reverse"],
)
def test_gradients_where_only_some_results_are_read(interpreted, cell, reverse, read):
    found = []
    for layers in pair(cell, 17, bidirectional=reverse):
        x = torch.linspace(-1, 1, 5 * 4 * 3).view(5, 4, 3).to(layers.weight_hh_l0.dtype).requires_grad_()
        outputs, last = layers(x)
        parameters = [it for name, it in layers.named_parameters() if name.endswith("reverse") == reverse]
        loss = read(outputs[..., -17:], last[-1:]).sin().sum()
        found.append(list(torch.autograd.grad(loss, [x, *parameters])))
    assert_close(*found)


@pytest.mark.parametrize("cell", NAMES)
def test_sequences_with_lengths(interpreted, cell):
    x, lengths = torch.randn(4, 5, 3), torch.tensor([5, 1, 3, 4])
    ours, exact = pair(cell, 17, bidirectional=True)
    assert_close(results(ours, x, lengths), results(exact, x.double(), lengths))


@pytest.mark.parametrize("cell", NAMES)
@pytest.mark.parametrize("low", [torch.bfloat16, torch.float16])
def test_autocast_rounds_what_is_multiplied_and_nothing_else(interpreted, cell, low):
    ours, exact = pair(cell, 17)
    x = torch.randn(5, 3, 3)
    with torch.autocast("cpu", low):
        rounded = results(ours, x)
    assert_close(rounded, results(exact, x.double()), tolerance=0.02)
    assert not torch.equal(rounded[0], rounded[0].to(low).float())


@pytest.mark.parametrize("cell", NAMES)
def test_what_gradients_need_is_kept_for_them_alone(interpreted, cell):
    layers, x = pair(cell, 17)[0], torch.randn(5, 7, 3)
    outputs = layers(x)[0]
    with torch.no_grad():
        assert torch.equal(layers(x)[0], outputs)


def test_inputs_are_left_as_they_are_and_gradients_can_be_had_twice(interpreted):
    layers = pair("gru", 17)[0]
    x, gradient = torch.randn(5, 7, 3), torch.ones(5, 7, 17)
    before, weights = x.clone(), {name: value.clone() for name, value in layers.state_dict().items()}
    outputs = layers(x)[0]
    twice = [torch.autograd.grad(outputs, list(layers.parameters()), gradient, retain_graph=True) for _ in range(2)]
    assert all(torch.equal(*pair) for pair in zip(*twice, strict=True))
    assert torch.equal(x, before)
    assert (gradient == 1).all()
    assert all(torch.equal(layers.state_dict()[name], value) for name, value in weights.items())


def test_weights_changed_between_forward_and_backward_are_noticed(interpreted):
    layers = pair("gru", 17)[0]
    outputs, _ = layers(torch.randn(5, 7, 3))
    with torch.no_grad():
        layers.weight_hh_l0 += 1
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        outputs.sum().backward()


def test_what_does_not_fit_takes_the_next_best(interpreted, monkeypatch):
    routes = taken(monkeypatch)
    RecurrentLayers("lstm", 3, 513, kernel="triton")(torch.randn(2, 3, 3))
    RecurrentLayers("gru", 3, 17, kernel="triton").double()(torch.randn(2, 3, 3, dtype=torch.float64))
    assert routes == [torch_nn, numpy_loop]


@pytest.mark.parametrize(("kernel", "route"), [("auto", torch_loop), ("torch", torch_loop), ("reference", reference)])
def test_only_who_asks_for_the_kernels_gets_them(interpreted, monkeypatch, kernel, route):
    routes = taken(monkeypatch)
    layers = RecurrentLayers("gru", 3, 17, kernel=kernel)
    for name, parameter in list(layers.named_parameters()):
        layers.register_parameter(name, nn.Parameter(parameter.detach()[None]))
    layers(torch.randn(1, 2, 3, 3))
    assert routes == [route]


def test_a_cpu_computes_what_was_trained_by_the_kernels(monkeypatch):
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    routes = taken(monkeypatch)
    RecurrentLayers("lstm", 3, 17, kernel="triton")(torch.randn(2, 3, 3))
    assert routes == [torch_nn]


def test_training_on_a_cpu_is_refused(monkeypatch):
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    with pytest.raises(UserError, match=r"^model.kernel=triton: needs a GPU; allowed on a CPU are auto, ref"):
        check_kernel("triton", "cpu")
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    check_kernel("triton", "cpu")


def test_training_without_a_compiler_is_refused(monkeypatch, tmp_path):
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    monkeypatch.delenv("CC", raising=False)
    (tmp_path / "gcc").touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    check_kernel("triton", "gpu")
    (tmp_path / "gcc").unlink()
    with pytest.raises(UserError, match=r"^model.kernel=triton: needs a C compiler, gcc or clang; "):
        check_kernel("triton", "gpu")
    check_kernel("auto", "gpu")


@pytest.fixture
def compiler(tmp_path, monkeypatch) -> None:
    """Triton's compiler, with a cache of its own."""
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    tools = importlib.import_module("triton").knobs.nvidia
    try:
        assert tools.ptxas.path
        assert tools.cuobjdump.path
    except RuntimeError as error:
        pytest.skip(f"Triton's wheel is without ptxas or cuobjdump: {error}")


def assert_compiles(cell: str, hidden_size: int, products: str) -> None:
    for backward in (False, True):
        figures = compiled(CELLS[cell](), hidden_size, products, backward)
        assert figures is not None
        assert figures.shared <= figures.blocks.memory <= H100_MEMORY
        assert figures.stack == 0
        assert figures.programs > 0


@pytest.mark.slow
def test_a_kernel_needs_the_memory_that_the_route_expects_and_spills_no_register(compiler):
    assert_compiles("simple_rnn", 128, "bf16")


@pytest.mark.slow
@pytest.mark.parametrize("cell", NAMES)
@pytest.mark.parametrize("hidden_size", [50, 128])
@pytest.mark.parametrize("products", triton.PRODUCTS)
def test_every_kernel_does(compiler, cell, hidden_size, products):
    known = {("lstm", 128, "ieee"), ("lstm", 128, "tf32"), ("gru", 128, "ieee")}
    if (cell, hidden_size, products) in known:
        assert triton.blocks(CELLS[cell](), hidden_size, products, backward=True) is None
    else:
        assert_compiles(cell, hidden_size, products)


@pytest.mark.slow
@pytest.mark.parametrize("cell", NAMES)
@pytest.mark.parametrize("low", [False, True])
def test_what_the_route_launches_can_be_compiled(compiler, monkeypatch, cell, low):
    """All but the launch itself, on tensors of a CPU and for a GPU that is not there."""
    jit, runtime = importlib.import_module("triton.runtime.jit"), importlib.import_module("triton.runtime")
    target = importlib.import_module("triton.backends.compiler").GPUTarget("cuda", 90, 32)
    compiled_kernels = []

    def compile_only(kernel, grid):
        def launch(*args, **settings):
            compiled_kernels.append(kernel.warmup(*args, grid=grid, **settings).metadata)

        return launch

    device = {"get_current_device": lambda: 0, "get_current_stream": lambda _: 0, "get_current_target": lambda: target}
    monkeypatch.setattr(runtime.driver, "_active", SimpleNamespace(**device))
    monkeypatch.setattr(jit.JITFunction, "__getitem__", compile_only)
    monkeypatch.setattr(triton, "interprets", lambda: True)
    layers, _ = pair(cell, 50, 3)
    with torch.autocast("cpu", torch.bfloat16, enabled=low):
        _, (last,) = layers(torch.randn(3, 37, 7, 3))
        last.sum().backward()
        with torch.no_grad():
            layers(torch.randn(3, 1, 7, 3))
    forward, backward = f"{cell}_forward", f"{cell}_backward"
    assert [kernel.name for kernel in compiled_kernels] == [forward, backward, forward]
    assert all(kernel.shared <= H100_MEMORY for kernel in compiled_kernels)
