"""The backward pass of the sLSTM that is written by hand has the gradients of autograd."""

import pytest
import torch

from recurrent_cells.models.layers import RecurrentLayers
from recurrent_cells.models.routes import exponential, reference
from tests.models.layers import results, taken

CASES = [
    {"heads": 2},
    {"heads": 3, "forget_gate": "exponential"},
    {"heads": 1},
]


@pytest.mark.parametrize("options", CASES)
@pytest.mark.parametrize("count", [1, 2, 9])
def test_outputs_and_gradients_are_those_of_autograd(options, count):
    x = 3 * torch.randn(2, count, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = []
    for kernel in ("steps", "reference"):
        torch.manual_seed(0)
        layers = RecurrentLayers("slstm", 3, 6, num_layers=2, bidirectional=True, kernel=kernel, options=options)
        found.append(results(layers.double(), x))
    torch.testing.assert_close(*found, rtol=1e-10, atol=1e-12)


def test_gates_far_from_zero_do_not_overflow():
    x = 1e3 * torch.randn(4, 20, 3, generator=torch.Generator().manual_seed(0))
    layers = RecurrentLayers("slstm", 3, 8, kernel="steps", options={"forget_gate": "exponential"})
    assert all(it.isfinite().all() for it in results(layers, x))


def test_a_second_backward_pass_is_refused():
    outputs, _ = RecurrentLayers("slstm", 3, 8, kernel="steps")(torch.randn(2, 4, 3))
    outputs.sum().backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="cannot go backward twice"):
        outputs.sum().backward()


def test_under_autocast_autograd_goes_back(monkeypatch):
    routes = taken(monkeypatch)
    layers = RecurrentLayers("slstm", 3, 8)
    layers(torch.randn(2, 4, 3))
    with torch.autocast("cpu", torch.bfloat16):
        layers(torch.randn(2, 4, 3))
    assert routes == [exponential, reference]
