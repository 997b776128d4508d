import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from recurrent_cells.errors import UserError
from recurrent_cells.models.layers import RecurrentLayers
from recurrent_cells.models.routes import numpy_loop, reference, torch_loop, torch_nn
from recurrent_cells.tables import CELLS
from tests.models.layers import CELLS as NAMES
from tests.models.layers import OF_CPU, TORCH, pair, results, taken

LENGTHS = torch.tensor([6, 1, 4, 5])


def padded(value: float, dtype=torch.float64):
    """(4, 6, 5) with `value` after each sequence's last step."""
    x = torch.linspace(-1, 1, 120, dtype=dtype).view(4, 6, 5)
    return x.masked_fill((torch.arange(6) >= LENGTHS[:, None]).unsqueeze(-1), value)


def one_by_one(layers: RecurrentLayers, x: torch.Tensor):
    """Each sequence alone, cut at its length, by the cell's own step and nothing else."""
    outputs = x.new_zeros(*x.shape[:2], len(layers.suffixes) * layers.hidden_size)
    last = [[] for _ in layers.suffixes]
    for n, length in enumerate(LENGTHS.tolist()):
        steps = list(x[n, :length])
        for layer in range(layers.num_layers):
            found = []
            for direction, suffix in enumerate(layers.suffixes):
                weights = layers.weights(layer, suffix)
                gates = [layers.cell.inputs(step[None, None], weights)[0] for step in steps]
                state, states = layers.cell.zero_state(gates[0], layers.hidden_size), [None] * length
                for t in reversed(range(length)) if suffix else range(length):
                    state = layers.cell.step(gates[t], state, weights)
                    states[t] = state[0][0]
                found.append(states)
                if layer == layers.num_layers - 1:
                    last[direction].append(state[0][0])
            steps = [torch.cat(parts) for parts in zip(*found, strict=True)]
        outputs[n, :length] = torch.stack(steps)
    return outputs, [torch.stack(states) for states in last]


class OneByOne(nn.Module):
    def __init__(self, layers: RecurrentLayers) -> None:
        super().__init__()
        self.layers = layers

    def forward(self, x):
        return one_by_one(self.layers, x)


@pytest.mark.parametrize(("cell", "kernel"), OF_CPU)
@pytest.mark.parametrize("bidirectional", [False, True])
def test_a_sequence_with_a_length_is_read_as_if_it_ended_there(cell, kernel, bidirectional):
    found = []
    for layers in (lambda layers: layers, OneByOne):
        torch.manual_seed(0)
        ours = RecurrentLayers(cell, 5, 8, num_layers=2, bidirectional=bidirectional, kernel=kernel).double()
        found.append(results(layers(ours), padded(0.5), *([LENGTHS] if layers(ours) is ours else [])))
    torch.testing.assert_close(*found, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize(("cell", "kernel"), OF_CPU)
def test_what_stands_in_the_padding_changes_no_bit(cell, kernel):
    layers = RecurrentLayers(cell, 5, 8, num_layers=2, bidirectional=True, kernel=kernel)
    expected = results(layers, padded(0.5, torch.float32), LENGTHS)
    for value in (-7.0, float("nan"), float("inf")):
        layers.zero_grad()
        for ours, theirs in zip(results(layers, padded(value, torch.float32), LENGTHS), expected, strict=True):
            assert torch.equal(ours, theirs)


@pytest.mark.parametrize("cell", CELLS.names)
@pytest.mark.parametrize("kernel", ["reference", "auto"])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("lengths", [None, torch.stack([LENGTHS, LENGTHS.flip(0), LENGTHS])])
def test_three_networks_at_once_are_each_of_them_alone(cell, kernel, bidirectional, lengths):
    def layers() -> RecurrentLayers:
        settings = {"num_layers": 2, "bidirectional": bidirectional, "kernel": kernel}
        return RecurrentLayers(cell, 5, 8, **settings).double()

    torch.manual_seed(0)
    alone, together = [layers() for _ in range(3)], layers()
    for name, _ in list(together.named_parameters()):
        values = torch.stack([network.get_parameter(name).detach() for network in alone])
        together.register_parameter(name, nn.Parameter(values))
    x = torch.randn(3, 4, 6, 5, dtype=torch.float64)
    found = results(together, x, *([] if lengths is None else [lengths]))
    for k, network in enumerate(alone):
        expected = results(network, x[k], *([] if lengths is None else [lengths[k]]))
        torch.testing.assert_close([it[k] for it in found], expected, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("cell", NAMES)
@pytest.mark.parametrize("bidirectional", [False, True])
def test_parameters_have_the_names_and_the_draws_of_torch(cell, bidirectional):
    settings = {"num_layers": 3, "bidirectional": bidirectional}
    torch.manual_seed(4)
    expected = TORCH[cell](5, 7, **settings).state_dict()
    torch.manual_seed(4)
    found = RecurrentLayers(cell, 5, 7, **settings).state_dict()
    assert list(found) == list(expected)
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_one_bias_per_gate_draws_as_two_do():
    torch.manual_seed(4)
    expected = nn.GRU(5, 7).state_dict()
    torch.manual_seed(4)
    found = RecurrentLayers("gru", 5, 7, biases=1).state_dict()
    assert torch.equal(found.pop("bias_hh_l0"), torch.zeros(21))
    assert all(torch.equal(found[name], expected[name]) for name in found)


@pytest.mark.parametrize(
    ("cell", "kernel", "route"),
    [
        ("simple_rnn", "auto", numpy_loop),
        ("gru", "auto", numpy_loop),
        ("lstm", "auto", torch_nn),
        ("lstm", "numpy", numpy_loop),
        ("gru", "torch", torch_nn),
        ("gru", "reference", reference),
    ],
)
def test_the_route_is_that_of_the_config(monkeypatch, cell, kernel, route):
    routes = taken(monkeypatch)
    RecurrentLayers(cell, 5, 7, kernel=kernel)(torch.randn(4, 9, 5))
    assert routes == [route]


@pytest.mark.parametrize("cell", NAMES)
def test_networks_at_once_take_the_steps_written_by_hand(monkeypatch, cell):
    routes = taken(monkeypatch)
    layers = RecurrentLayers(cell, 5, 7)
    for name, parameter in list(layers.named_parameters()):
        layers.register_parameter(name, nn.Parameter(parameter.detach()[None]))
    layers(torch.randn(1, 4, 9, 5))
    assert routes == [torch_loop]


@pytest.mark.parametrize("cell", ["simple_rnn", "gru"])
def test_what_numpy_cannot_do_is_done_by_torch(monkeypatch, cell):
    routes = taken(monkeypatch)
    ours, plain = pair(cell, kernel="numpy")
    x = torch.randn(4, 9, 5)
    torch.testing.assert_close(ours(x[:, :1])[0], plain(x[:, :1])[0])
    with torch.autocast("cpu", torch.bfloat16):
        ours(x)
    assert routes == [torch_nn, torch_nn]


def test_a_route_that_a_cell_does_not_have_is_refused():
    with pytest.raises(UserError, match=r"^model.kernel=cuda: .* gru .*auto, reference, numpy, torch, triton$"):
        RecurrentLayers("gru", 5, 7, kernel="cuda")


def test_every_cell_says_what_it_is():
    cells = [CELLS[name] for name in CELLS.names]
    assert all(cell.source for cell in cells)
    assert len({cell.label for cell in cells}) == len({cell.color for cell in cells}) == len(cells)


@pytest.mark.parametrize("cell", CELLS.names)
def test_gradients_of_every_cell_are_those_of_small_differences(cell):
    torch.manual_seed(0)
    layers = RecurrentLayers(cell, 2, 4, kernel="reference").double()
    names = [name for name, _ in layers.named_parameters()]

    def outputs(x, *weights):
        return torch.func.functional_call(layers, dict(zip(names, weights, strict=True)), x)[0]

    x = torch.randn(2, 4, 2, dtype=torch.float64, requires_grad=True)
    weights = [it.detach().requires_grad_() for it in layers.parameters()]
    assert torch.autograd.gradcheck(outputs, (x, *weights), fast_mode=True)


@pytest.mark.slow
@pytest.mark.parametrize("cell", CELLS.names)
def test_every_cell_is_exported_for_any_number_of_steps(cell):
    """As test_export does for a fixed number."""
    layers = RecurrentLayers(cell, 3, 4).eval().requires_grad_(False)
    shapes = dict.fromkeys((0, 1), torch.export.Dim.AUTO)
    program = torch.export.export(layers, (torch.randn(2, 3, 3),), dynamic_shapes=[shapes])
    x = torch.randn(4, 8, 3)
    torch.testing.assert_close(program.module()(x)[0], layers(x)[0])


class Operations(TorchDispatchMode):
    """Notes the names of all that is computed."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.names.add(func.__name__)
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("bidirectional", [False, True])
def test_a_step_with_lengths_scatters_nothing(bidirectional):
    """A GPU scatters deterministically by reading from the host, which no CUDA graph holds."""
    layers = RecurrentLayers("gru", 3, 4, bidirectional=bidirectional)
    with Operations() as operations:
        _, last = layers(torch.randn(len(LENGTHS), int(LENGTHS.max()), 3), LENGTHS)
        torch.cat(list(last), dim=-1).sum().backward()
    assert not [name for name in operations.names if "scatter" in name]
