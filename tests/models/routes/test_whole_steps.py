"""Steps written by hand as a whole have the outputs and the gradients of autograd."""

import pytest
import torch

from recurrent_cells.models.layers import RecurrentLayers
from recurrent_cells.models.routes import reference, whole_steps
from recurrent_cells.tables import CELLS
from tests.models.layers import results, taken

BY_HAND = [name for name in CELLS.names if "steps" in CELLS[name].routes]
CASES = [
    ("slstm", {"heads": 2}),
    ("slstm", {"heads": 3, "forget_gate": "exponential"}),
    ("slstm", {"heads": 1}),
    ("indrnn", {"steps": 2}),
    ("janet", {}),
    ("janet", {"beta": 0.0}),
    ("janet", {"beta": 60.0}),
    ("lem", {}),
    ("lem", {"dt": 0.3}),
    ("cornn", {}),
    ("cornn", {"dt": 0.5, "gamma": 1.3, "epsilon": 0.7}),
]


def test_every_cell_with_such_steps_is_tried():
    assert {cell for cell, _ in CASES} == set(BY_HAND)


@pytest.mark.parametrize(("cell", "options"), CASES)
@pytest.mark.parametrize("count", [1, 2, 9])
def test_outputs_and_gradients_are_those_of_autograd(cell, options, count):
    x = 3 * torch.randn(2, count, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = []
    for kernel in ("steps", "reference"):
        torch.manual_seed(0)
        layers = RecurrentLayers(cell, 3, 6, num_layers=2, bidirectional=True, kernel=kernel, options=options)
        found.append(results(layers.double(), x))
    torch.testing.assert_close(*found, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(("cell", "options"), CASES)
def test_gradients_are_those_of_small_differences(cell, options):
    """Along one direction of input and weights at once; gradcheck would go backward twice."""
    torch.manual_seed(0)
    layers = RecurrentLayers(cell, 2, 6, bidirectional=True, kernel="steps", options=options).double()
    names = [name for name, _ in layers.named_parameters()]
    values = [torch.randn(2, 4, 2, dtype=torch.float64), *(it.detach() for it in layers.parameters())]
    directions = [torch.randn_like(it) for it in values]
    factors = torch.randn(2, 4, 12, dtype=torch.float64)

    def loss(x, *weights):
        outputs, _ = torch.func.functional_call(layers, dict(zip(names, weights, strict=True)), x)
        return (outputs * factors).sum()

    leaves = [it.clone().requires_grad_() for it in values]
    gradients = torch.autograd.grad(loss(*leaves), leaves)
    slope = sum((gradient * it).sum() for gradient, it in zip(gradients, directions, strict=True))
    later, earlier = (
        loss(*(it + size * direction for it, direction in zip(values, directions, strict=True)))
        for size in (1e-6, -1e-6)
    )
    torch.testing.assert_close(slope, (later - earlier) / 2e-6, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("cell", BY_HAND)
def test_long_sequences_of_a_real_size_differ_by_rounding(cell):
    x = torch.randn(32, 100, 4, generator=torch.Generator().manual_seed(0))
    found = []
    for kernel in ("steps", "reference"):
        torch.manual_seed(0)
        found.append(results(RecurrentLayers(cell, 4, 64, kernel=kernel), x))
    for ours, expected in zip(*found, strict=True):
        torch.testing.assert_close(ours, expected, rtol=1e-5, atol=2e-5 * expected.abs().max().item())


@pytest.mark.parametrize("cell", BY_HAND)
def test_where_the_last_state_alone_is_read_gradients_are_the_same(cell):
    x = torch.randn(2, 5, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = []
    for kernel in ("steps", "reference"):
        torch.manual_seed(0)
        layers = RecurrentLayers(cell, 3, 8, bidirectional=True, kernel=kernel).double()
        loss = sum(state.sin().sum() for state in layers(x)[1])
        found.append(torch.autograd.grad(loss, list(layers.parameters())))
    torch.testing.assert_close(*found, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("cell", BY_HAND)
def test_the_same_pass_twice_gives_the_same_bits(cell):
    layers = RecurrentLayers(cell, 3, 8, num_layers=2, bidirectional=True, kernel="steps")
    x = torch.randn(4, 9, 3, generator=torch.Generator().manual_seed(0))
    found = []
    for _ in range(2):
        layers.zero_grad()
        found.append([it.clone() for it in results(layers, x)])
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


@pytest.mark.parametrize("cell", ["janet", "slstm"])
def test_gates_far_from_zero_do_not_overflow(cell):
    x = 1e3 * torch.randn(4, 20, 3, generator=torch.Generator().manual_seed(0))
    options = {"forget_gate": "exponential"} if cell == "slstm" else {}
    layers = RecurrentLayers(cell, 3, 8, kernel="steps", options=options)
    assert all(it.isfinite().all() for it in results(layers, x))


@pytest.mark.parametrize("cell", BY_HAND)
def test_a_second_backward_pass_is_refused(cell):
    outputs, _ = RecurrentLayers(cell, 3, 8, kernel="steps")(torch.randn(2, 4, 3))
    outputs.sum().backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="cannot go backward twice"):
        outputs.sum().backward()


@pytest.mark.parametrize("cell", BY_HAND)
def test_weights_changed_between_forward_and_backward_are_noticed(cell):
    layers = RecurrentLayers(cell, 3, 8)
    outputs, _ = layers(torch.randn(2, 4, 3))
    with torch.no_grad():
        layers.weight_hh_l0 += 1
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        outputs.sum().backward()


@pytest.mark.parametrize("cell", BY_HAND)
def test_under_autocast_autograd_goes_back(monkeypatch, cell):
    routes = taken(monkeypatch)
    layers = RecurrentLayers(cell, 3, 8)
    layers(torch.randn(2, 4, 3))
    with torch.autocast("cpu", torch.bfloat16):
        layers(torch.randn(2, 4, 3))
    assert routes == [whole_steps, reference]
