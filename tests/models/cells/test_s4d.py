import math

import pytest
import torch

from recurrent_cells.models.layers import RecurrentLayers
from tests.models.cells.naive import assert_is_the_loop, num_parameters


def loop(x, weights):
    """Gu et al. 2022, section 2.1: x_k = Ā x_{k-1} + B̄ u_k, y_k = C x_k + D u_k, held constant within a step, B = 1.

    Of conjugate pairs both are carried.
    """
    half = torch.complex(-torch.exp(weights["decay"]), weights["frequency"])
    c_half = torch.complex(weights["weight_c"][:, ::2], weights["weight_c"][:, 1::2]).conj()
    a, c = torch.cat((half, half.conj()), dim=1), torch.cat((c_half, c_half.conj()), dim=1)
    step_size = torch.exp(weights["step"])[:, None]
    a_bar = torch.exp(step_size * a)
    b_bar = (step_size * a) ** -1 * (a_bar - 1) * step_size
    state, outputs = torch.zeros_like(a), []
    for step in x:
        u = weights["weight_ih"] @ step + weights["bias_ih"]
        state = a_bar * state + b_bar * u[:, None]
        outputs.append((c * state).sum(dim=1).real + weights["skip"] * u)
    return torch.stack(outputs)


@pytest.mark.parametrize("state_size", [2, 6])
def test_the_equations(state_size):
    assert_is_the_loop("s4d", loop, state_size=state_size)


def test_the_number_of_parameters():
    assert num_parameters("s4d", 3, 5, state_size=8) == 5 * (3 + 3 + 2 * 8)


@pytest.mark.parametrize("init", ["torch", "keras"])
def test_the_first_system(init):
    layers = RecurrentLayers("s4d", 3, 1000, options={"state_size": 6})
    layers.initialize(init, None)
    torch.testing.assert_close(-torch.exp(layers.decay_l0), torch.full((1000, 3), -0.5))
    torch.testing.assert_close(layers.frequency_l0[0], math.pi * torch.arange(3.0))
    step = torch.exp(layers.step_l0)
    assert 0.001 <= step.min() < 0.0011
    assert 0.09 < step.max() <= 0.1
    assert abs(step.log10().mean() + 2) < 0.1
