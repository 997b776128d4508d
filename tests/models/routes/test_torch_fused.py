"""The loop over torch's fused kernels, with stand-ins on the CPU for what these compute on a GPU."""

import pytest
import torch

from recurrent_cells.models.layers import RecurrentLayers
from recurrent_cells.models.routes import torch_fused, torch_loop
from tests.models.fake_gpu import use_stand_ins
from tests.models.layers import results, taken
from tests.models.routes.test_torch_loop import COUNT, stacked


@pytest.fixture
def kernels(monkeypatch):
    """In the place of the GPU's."""
    use_stand_ins(monkeypatch)
    monkeypatch.setattr(torch_loop, "on_gpu", lambda x: True)


@pytest.mark.parametrize("lengths", [None, torch.tensor([9, 1, 4, 6]).expand(COUNT, -1)], ids=["whole", "lengths"])
@pytest.mark.parametrize("settings", [{}, {"num_layers": 2, "bidirectional": True}], ids=["1", "2-both"])
@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_layers_give_what_the_reference_gives(monkeypatch, kernels, cell, settings, lengths):
    layers = stacked([RecurrentLayers(cell, 5, 7, **settings).double() for _ in range(COUNT)])
    reference = RecurrentLayers(cell, 5, 7, kernel="reference", **settings)
    reference._parameters = layers._parameters
    x = torch.randn(COUNT, 4, 9, 5, dtype=torch.float64)
    given = () if lengths is None else (lengths,)
    routes = taken(monkeypatch)
    found = results(layers, x, *given)
    assert set(routes) == {torch_fused}
    for one, other in zip(found, results(reference, x, *given), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-12)


def test_only_the_last_state_may_be_read(kernels):
    layers = stacked([RecurrentLayers("gru", 5, 7).double() for _ in range(COUNT)])
    reference = RecurrentLayers("gru", 5, 7, kernel="reference")
    reference._parameters = layers._parameters
    x = torch.randn(COUNT, 4, 9, 5, dtype=torch.float64)
    parameters = list(layers.parameters())
    found, expected = (torch.autograd.grad(it(x)[1][0].sin().sum(), parameters) for it in (layers, reference))
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-12)
