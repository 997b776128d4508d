"""LEM against its paper's equations."""

import pytest
import torch

from recurrent_cells.models.layers import RecurrentLayers
from tests.models.cells.loops import drawn, logistic, sequences

F, H = 3, 5


@pytest.mark.parametrize("dt", [1.0, 0.3])
def test_outputs_are_those_of_the_paper_s_equations(dt):
    layers, x = drawn("lem", F, H, dt=dt), sequences(F)
    v1, v2, vz, vy = layers.weight_ih_l0.split(H)
    b1, b2, bz, by = layers.bias_ih_l0.split(H)
    w1, w2, wz = layers.weight_hh_l0.split(H)
    wy = layers.weight_hh_z_l0
    outputs, _ = layers(x)
    for sequence, found in zip(x, outputs, strict=True):
        y = z = torch.zeros(H, dtype=x.dtype)
        for u, output in zip(sequence, found, strict=True):
            of_z = dt * logistic(w1 @ y + v1 @ u + b1)
            of_y = dt * logistic(w2 @ y + v2 @ u + b2)
            z = (1 - of_z) * z + of_z * torch.tanh(wz @ y + vz @ u + bz)
            y = (1 - of_y) * y + of_y * torch.tanh(wy @ z + vy @ u + by)
            torch.testing.assert_close(output, y, rtol=1e-11, atol=1e-12)


def test_parameters_are_those_of_four_products():
    assert sum(it.numel() for it in RecurrentLayers("lem", F, H).parameters()) == 4 * H * (F + H + 1)
