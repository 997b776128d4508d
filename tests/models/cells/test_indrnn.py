"""IndRNN against its paper's equation, step by step and unit by unit."""

import pytest
import torch

from recurrent_cells.models.layers import RecurrentLayers
from tests.models.cells.loops import drawn, sequences

F, H = 3, 5


def test_outputs_are_those_of_the_paper_s_equation():
    layers, x = drawn("indrnn", F, H), sequences(F)
    w, u, b = layers.weight_ih_l0, layers.weight_hh_l0, layers.bias_ih_l0
    outputs, _ = layers(x)
    for sequence, found in zip(x, outputs, strict=True):
        h = [0.0] * H
        for step, output in zip(sequence, found, strict=True):
            h = [max(0.0, float(w[n] @ step + u[n] * h[n] + b[n])) for n in range(H)]
            assert output.tolist() == pytest.approx(h, rel=1e-12, abs=1e-12)


def test_a_unit_has_its_input_weights_a_recurrent_weight_and_a_bias():
    assert sum(it.numel() for it in RecurrentLayers("indrnn", F, H).parameters()) == H * (F + 2)


@pytest.mark.parametrize("init", ["torch", "keras", "normal"])
@pytest.mark.parametrize("steps", [1, 28])
def test_recurrent_weights_start_where_no_gradient_grows_more_than_twofold(init, steps):
    layers = RecurrentLayers("indrnn", F, 4000, options={"steps": steps})
    layers.initialize(init, None)
    u, largest = layers.weight_hh_l0, 2 ** (1 / steps)
    assert 0 <= u.min() < 0.01
    assert 0.99 * largest < u.max() <= largest
    torch.testing.assert_close(u.mean(), torch.tensor(largest / 2), rtol=0.05, atol=0)
