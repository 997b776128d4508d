import pytest
import torch

from recurrent_cells.models.layers import RecurrentLayers
from recurrent_cells.models.routes import reference, torch_nn
from tests.models.layers import CELLS, pair, results, taken


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("settings", [{}, {"num_layers": 3, "dropout": 0.4, "bidirectional": True}])
def test_bits_are_those_of_torch_nn(cell, settings):
    x = torch.randn(4, 9, 5)
    for found, expected in zip(*(results(it, x) for it in pair(cell, kernel="torch", **settings)), strict=True):
        assert torch.equal(found, expected)


def test_dropout_between_layers_acts_in_training_alone():
    ours, plain = pair("lstm", num_layers=2, dropout=0.5)
    x = torch.randn(4, 9, 5)
    assert torch.equal(ours.eval()(x)[0], plain.eval()(x)[0])


@pytest.mark.parametrize("supported", [False, True])
def test_a_cpu_without_bfloat16_computes_an_lstm_by_the_reference(monkeypatch, supported):
    routes = taken(monkeypatch)
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: supported)
    layers, x = RecurrentLayers("lstm", 5, 7), torch.randn(4, 9, 5)
    with torch.autocast("cpu", torch.bfloat16):
        if not supported:
            outputs, _ = layers(x)
            outputs.float().sum().backward()
            assert routes == [reference]
            torch.testing.assert_close(outputs, layers(x.double().float())[0], rtol=0.1, atol=0.05)
        assert torch_nn.fits(layers, x, None) is supported


@pytest.mark.parametrize("cell", CELLS)
def test_the_reference_in_low_precision_is_close(cell):
    layers, x = RecurrentLayers(cell, 5, 7, kernel="reference"), torch.randn(4, 9, 5)
    exact = layers(x)[0]
    with torch.autocast("cpu", torch.bfloat16):
        rounded = layers(x)[0]
    assert 0 < (rounded.float() - exact).abs().max() < 0.05
