"""The loop over torch's fused kernels, with stand-ins on the CPU for what these compute on a GPU."""

import pytest
import torch
from torch import Tensor

from recurrent_cells.models.layers import RecurrentLayers
from recurrent_cells.models.routes import torch_fused, torch_loop
from tests.models.layers import results, taken
from tests.models.routes.test_torch_loop import COUNT, stacked


def lstm_cell(inputs: Tensor, products: Tensor, c: Tensor, *_: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    i, f, g, o = (inputs + products).chunk(4, dim=1)
    gates = [i.sigmoid(), f.sigmoid(), g.tanh(), o.sigmoid()]
    after = gates[1] * c + gates[0] * gates[2]
    return gates[3] * after.tanh(), after, torch.cat(gates, dim=1)


def lstm_cell_backward(
    d_h: Tensor, d_c: Tensor | None, before: Tensor, after: Tensor, workspace: Tensor, has_bias: bool
) -> tuple[Tensor, Tensor, None]:
    i, f, g, o = workspace.chunk(4, dim=1)
    d_after = d_h * o * (1 - after.tanh() ** 2) + (0 if d_c is None else d_c)
    d_o = d_h * after.tanh()
    parts = [d_after * g * i * (1 - i), d_after * before * f * (1 - f), d_after * i * (1 - g**2), d_o * o * (1 - o)]
    return torch.cat(parts, dim=1), d_after * f, None


def gru_cell(inputs: Tensor, products: Tensor, h: Tensor, *_: Tensor | None) -> tuple[Tensor, Tensor]:
    (r, z, n), (of_r, of_z, of_n) = inputs.chunk(3, dim=1), products.chunk(3, dim=1)
    r, z = (r + of_r).sigmoid(), (z + of_z).sigmoid()
    n = (n + r * of_n).tanh()
    return n + z * (h - n), torch.cat([r, z, n, h, of_n], dim=1)


def gru_cell_backward(d_h: Tensor, workspace: Tensor, has_bias: bool) -> tuple[Tensor, Tensor, Tensor, None, None]:
    r, z, n, h, of_n = workspace.chunk(5, dim=1)
    d_z = d_h * (h - n) * z * (1 - z)
    d_n = d_h * (1 - z) * (1 - n**2)
    d_r = d_n * of_n * r * (1 - r)
    return torch.cat([d_r, d_z, d_n], dim=1), torch.cat([d_r, d_z, d_n * r], dim=1), d_h * z, None, None


@pytest.fixture
def kernels(monkeypatch):
    """In the place of the GPU's."""
    for name, stand_in in {
        "_thnn_fused_lstm_cell": lstm_cell,
        "_thnn_fused_lstm_cell_backward_impl": lstm_cell_backward,
        "_thnn_fused_gru_cell": gru_cell,
        "_thnn_fused_gru_cell_backward": gru_cell_backward,
    }.items():
        getattr(torch.ops.aten, name)  # there is such a kernel
        monkeypatch.setattr(torch.ops.aten, name, stand_in)
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
