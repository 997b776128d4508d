"""Residual blocks around layers."""

import pytest
import torch
from torch.nn.functional import layer_norm

from recurrent_cells.config.schema import ModelConfig
from recurrent_cells.models.classifier import build_classifier, num_parameters
from recurrent_cells.models.layers import RecurrentLayers
from recurrent_cells.models.size import count_parameters

FEATURES, CLASSES, HIDDEN = 3, 4, 5


def blocks(cell="gru", layers=2, readout="last", **more):
    model = ModelConfig(cell=cell, hidden_size=HIDDEN, num_layers=layers, block="residual", readout=readout, **more)
    return build_classifier(model, FEATURES, CLASSES, seed=0).double()


@pytest.mark.parametrize("cell", ["simple_rnn", "lstm", "gru"])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("readout", ["last", "every", "mean"])
def test_a_block_is_norm_layer_gated_projection_and_residual(cell, bidirectional, readout):
    network = blocks(cell, readout=readout, bidirectional=bidirectional)
    width = HIDDEN * (1 + bidirectional)
    state = network.state_dict()
    x = torch.randn(2, 7, FEATURES, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    stream = x @ state["recurrent.projection.weight"].T + state["recurrent.projection.bias"]
    for place in range(2):
        own = {name.partition(f"blocks.{place}.")[2]: it for name, it in state.items() if f"blocks.{place}." in name}
        layer = RecurrentLayers(cell, width, HIDDEN, bidirectional=bidirectional, kernel="reference").double()
        layer.load_state_dict({name.partition("layer.")[2]: it for name, it in own.items() if "layer." in name})
        outputs, _ = layer(layer_norm(stream, (width,), own["norm.weight"], own["norm.bias"]))
        value, gate = (outputs @ own["gated.weight"].T + own["gated.bias"]).split(width, dim=-1)
        stream = stream + value * torch.sigmoid(gate)
    read = {
        "every": stream,
        "mean": stream.mean(dim=1),
        "last": torch.cat([stream[:, -1, :HIDDEN], stream[:, 0, HIDDEN:]], dim=1),
    }[readout]
    torch.testing.assert_close(network(x), network.head(read), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("layers", [1, 3])
def test_parameters_are_those_of_the_cell_and_of_norm_and_projections(layers):
    of_cell = 4 * HIDDEN * (HIDDEN + HIDDEN + 2)
    of_block = of_cell + 2 * HIDDEN + (HIDDEN + 1) * 2 * HIDDEN
    expected = (FEATURES + 1) * HIDDEN + layers * of_block + (HIDDEN + 1) * CLASSES
    model = ModelConfig(cell="lstm", hidden_size=HIDDEN, num_layers=layers, block="residual")
    assert num_parameters(blocks("lstm", layers)) == expected
    assert count_parameters(model, FEATURES, CLASSES) == expected


def test_what_a_block_adds_is_dropped_out():
    network = blocks(layers=1, dropout=0.999999)
    x = torch.randn(2, 6, FEATURES, dtype=torch.float64)
    outputs, _ = network.train().recurrent(x)
    torch.testing.assert_close(outputs, network.recurrent.projection(x))
    assert not torch.allclose(network.eval().recurrent(x)[0], outputs)


@pytest.mark.parametrize("stacked", [False, True])
def test_sums_over_blocks_are_in_full_precision_under_autocast(stacked):
    from recurrent_cells.models.stacked import StackedClassifier

    network = blocks("lstm").float()
    x = torch.randn(2, 6, FEATURES)
    exact = network(x)
    if stacked:
        network, x = StackedClassifier([network], torch.device("cpu"), torch.float32)._network, x[None]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        outputs, _ = network.recurrent(x)
        rounded = network(x)
    assert outputs.dtype == torch.float32
    assert 1e-6 < (rounded.float().view_as(exact) - exact).abs().max() < 0.03
