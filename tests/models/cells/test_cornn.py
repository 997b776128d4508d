"""coRNN against its paper's explicit scheme."""

import pytest
import torch

from recurrent_cells.models.layers import RecurrentLayers
from tests.models.cells.loops import drawn, sequences

F, H = 3, 5


@pytest.mark.parametrize("settings", [{}, {"dt": 0.5, "gamma": 1.3, "epsilon": 0.7}])
def test_outputs_are_those_of_the_paper_s_scheme(settings):
    layers, x = drawn("cornn", F, H, **settings), sequences(F)
    dt, gamma, epsilon = ({"dt": 0.042, "gamma": 2.7, "epsilon": 4.7} | settings).values()
    of_y, of_z = layers.weight_hh_l0.split(H, dim=1)
    outputs, _ = layers(x)
    for sequence, found in zip(x, outputs, strict=True):
        y = z = torch.zeros(H, dtype=x.dtype)
        for u, output in zip(sequence, found, strict=True):
            driven = torch.tanh(of_y @ y + of_z @ z + layers.weight_ih_l0 @ u + layers.bias_ih_l0)
            z = z + dt * driven - dt * gamma * y - dt * epsilon * z
            y = y + dt * z
            torch.testing.assert_close(output, y, rtol=1e-11, atol=1e-12)


def test_parameters_are_those_of_positions_and_velocities():
    assert sum(it.numel() for it in RecurrentLayers("cornn", F, H).parameters()) == H * (F + 2 * H + 1)
