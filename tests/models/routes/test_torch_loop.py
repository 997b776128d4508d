"""The loop for K networks as a GPU has it: other memory and other products than on a CPU, to rounding the same."""

import pytest
import torch

from recurrent_cells.models.layers import RecurrentLayers
from recurrent_cells.models.routes import torch_fused, torch_loop
from tests.models.layers import CELLS, results

COUNT = 3


def stacked(layers: list[RecurrentLayers]) -> RecurrentLayers:
    """The layers of several networks as one."""
    together = RecurrentLayers(
        layers[0].cell.name, 5, 7, layers[0].num_layers, bidirectional=len(layers[0].suffixes) > 1
    )
    for name in dict(together.named_parameters()):
        values = torch.stack([it.get_parameter(name).detach() for it in layers])
        together.register_parameter(name, torch.nn.Parameter(values))
    return together


@pytest.mark.parametrize("lengths", [None, torch.tensor([9, 1, 4, 6]).expand(COUNT, -1)], ids=["whole", "lengths"])
@pytest.mark.parametrize("settings", [{}, {"num_layers": 2, "bidirectional": True}], ids=["1", "2-both"])
@pytest.mark.parametrize("cell", CELLS)
def test_steps_in_one_piece_of_memory_give_the_same(monkeypatch, cell, settings, lengths):
    layers = stacked([RecurrentLayers(cell, 5, 7, **settings).double() for _ in range(COUNT)])
    x = torch.randn(COUNT, 4, 9, 5, dtype=torch.float64)
    given = () if lengths is None else (lengths,)
    wanted = results(layers, x, *given)
    reference = RecurrentLayers(cell, 5, 7, kernel="reference", **settings)
    reference._parameters = layers._parameters
    monkeypatch.setattr(torch_loop, "on_gpu", lambda x: True)
    monkeypatch.setattr(torch_fused, "fits", lambda layers, x, lengths: False)
    for found, on_cpu, expected in zip(results(layers, x, *given), wanted, results(reference, x, *given), strict=True):
        torch.testing.assert_close(found, on_cpu, rtol=0, atol=1e-12)
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)
