"""DeltaNet in chunks of time is DeltaNet step by step."""

import pytest
import torch

from recurrent_cells.models.layers import RecurrentLayers
from recurrent_cells.models.routes import delta_rule, reference
from tests.models.layers import results, taken


@pytest.mark.parametrize("steps", [1, 16, 17, 40])
@pytest.mark.parametrize("max_beta", [1, 2])
def test_outputs_and_gradients_are_those_of_the_steps(steps, max_beta):
    x = torch.randn(2, steps, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = []
    for kernel in ("chunks", "reference"):
        torch.manual_seed(0)
        options = {"heads": 2, "max_beta": max_beta}
        layers = RecurrentLayers("delta_net", 3, 6, bidirectional=True, kernel=kernel, options=options)
        found.append(results(layers.double(), x))
    torch.testing.assert_close(*found, rtol=1e-10, atol=1e-11)


def test_over_many_steps_float32_stays_near_float64():
    layers = RecurrentLayers("delta_net", 2, 8, options={"heads": 2, "max_beta": 2})
    x = torch.randn(1, 2000, 2, generator=torch.Generator().manual_seed(0))
    found = layers(x)[0]
    torch.testing.assert_close(found.double(), layers.double()(x.double())[0], rtol=0, atol=1e-4)


def test_under_autocast_it_goes_step_by_step(monkeypatch):
    routes = taken(monkeypatch)
    layers = RecurrentLayers("delta_net", 3, 8)
    layers(torch.randn(2, 4, 3))
    with torch.autocast("cpu", torch.bfloat16):
        layers(torch.randn(2, 4, 3))
    assert routes == [delta_rule, reference]
