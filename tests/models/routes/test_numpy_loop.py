"""The layers in NumPy give what torch.nn's give, to rounding, forward and backward."""

import pytest
import torch

from recurrent_cells.models.layers import RecurrentLayers
from tests.models.layers import CELLS, pair, results


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("num_layers", [1, 3])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("dropout", [0.0, 0.4])
@pytest.mark.parametrize(("dtype", "rtol"), [(torch.float32, 1e-5), (torch.float64, 1e-13)])
def test_outputs_and_gradients(cell, num_layers, bidirectional, dropout, dtype, rtol):
    settings = {"num_layers": num_layers, "bidirectional": bidirectional}
    if num_layers > 1:
        settings["dropout"] = dropout
    ours, plain = pair(cell, dtype, "numpy", **settings)
    x = torch.randn(4, 9, 5, dtype=dtype)
    for found, expected in zip(results(ours, x), results(plain, x), strict=True):
        torch.testing.assert_close(found, expected, rtol=rtol, atol=rtol * max(1.0, expected.abs().max().item()))


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize(
    "read",
    [lambda outputs, last: outputs, lambda outputs, last: outputs.mean(dim=1), lambda outputs, last: last[-1]],
    ids=["outputs", "their mean", "last state"],
)
def test_gradients_where_only_some_results_are_read(cell, bidirectional, read):
    found = []
    for layers in pair(cell, torch.float64, "numpy", num_layers=2, bidirectional=bidirectional):
        x = torch.linspace(-1, 1, 4 * 9 * 5, dtype=torch.float64).view(4, 9, 5).requires_grad_()
        loss = read(*layers(x)).sin().sum()
        found.append(torch.autograd.grad(loss, [x, *layers.parameters()], materialize_grads=True, allow_unused=True))
    torch.testing.assert_close(*found, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("cell", CELLS)
def test_long_sequences_of_a_real_size(cell):
    ours, plain = pair(cell, kernel="numpy", sizes=(28, 128))
    x = torch.randn(64, 28, 28)
    for found, expected in zip(results(ours, x), results(plain, x), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=2e-6 * expected.abs().max().item())


def test_weights_changed_between_forward_and_backward_are_noticed():
    layers = RecurrentLayers("gru", 5, 7)
    outputs, _ = layers(torch.randn(4, 9, 5))
    with torch.no_grad():
        layers.weight_hh_l0 += 1
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        outputs.sum().backward()


def test_going_backward_twice_is_refused():
    loss = RecurrentLayers("gru", 5, 7)(torch.randn(4, 9, 5))[0].sum()
    loss.backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="cannot go backward twice"):
        loss.backward()


def test_a_weight_that_is_not_trained_gets_no_gradient():
    layers = RecurrentLayers("gru", 5, 7, biases=1)
    layers(torch.randn(4, 9, 5))[0].sum().backward()
    assert layers.bias_hh_l0.grad is None
    assert layers.bias_ih_l0.grad is not None


@pytest.mark.parametrize("cell", CELLS)
def test_values_that_are_not_finite_pass_through_without_a_warning(cell):
    x = torch.randn(4, 9, 5)
    x[0, 3] = float("inf")
    x[1, 3] = float("nan")
    outputs, _ = RecurrentLayers(cell, 5, 7, kernel="numpy")(x)
    outputs.sum().backward()
    assert outputs[1].isnan().any()
    assert outputs[2].isfinite().all()


def test_inputs_are_left_as_they_are():
    x = torch.randn(4, 9, 5)
    before = x.clone()
    layers = RecurrentLayers("gru", 5, 7, num_layers=2)
    weights = {name: value.clone() for name, value in layers.state_dict().items()}
    gradient = torch.ones(4, 9, 7)
    layers(x)[0].backward(gradient)
    assert torch.equal(x, before)
    assert (gradient == 1).all()
    assert all((layers.state_dict()[name] == value).all() for name, value in weights.items())
