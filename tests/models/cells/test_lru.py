import math

import pytest
import torch

from recurrent_cells.models.layers import RecurrentLayers
from tests.models.cells.naive import assert_is_the_loop, num_parameters


def loop(x, weights):
    """Orvieto et al. 2023, equations 6 and 7: x_k = Λ x_{k-1} + exp(gamma) B u_k, y_k = Re(C x_k) + D u_k."""
    eigenvalues = torch.exp(torch.complex(-torch.exp(weights["nu"]), torch.exp(weights["theta"])))
    b = torch.complex(weights["weight_b"][::2], weights["weight_b"][1::2])
    c = torch.complex(weights["weight_c"][:, ::2], weights["weight_c"][:, 1::2]).conj()
    gamma = torch.exp(weights["gamma"])
    state, outputs = torch.zeros(len(gamma), dtype=torch.complex128), []
    for step in x:
        state = eigenvalues * state + gamma * (b @ step.to(torch.complex128))
        outputs.append((c @ state).real + weights["weight_d"] @ step)
    return torch.stack(outputs)


@pytest.mark.parametrize("state_size", [1, 4])
def test_the_equations(state_size):
    assert_is_the_loop("lru", loop, state_size=state_size, r_min=0.4, r_max=0.9)


def test_the_number_of_parameters():
    assert num_parameters("lru", 3, 5, state_size=7) == 2 * 7 * (3 + 5) + 5 * 3 + 3 * 7


@pytest.mark.parametrize("init", ["torch", "keras"])
def test_eigenvalues_begin_on_a_ring(init):
    options = {"state_size": 2000, "r_min": 0.5, "r_max": 0.9, "max_phase": math.pi / 10}
    layers = RecurrentLayers("lru", 3, 4, options=options)
    layers.initialize(init, None)
    size, phase = torch.exp(-torch.exp(layers.nu_l0)), torch.exp(layers.theta_l0)
    assert 0.5 <= size.min() < 0.505
    assert 0.895 < size.max() <= 0.9
    assert abs((size**2).mean() - (0.25 + 0.81) / 2) < 0.02  # uniform on the ring, not along its radius
    assert 0 <= phase.min() < 0.01 < 0.3 < phase.max() <= math.pi / 10
    torch.testing.assert_close(torch.exp(layers.gamma_l0), torch.sqrt(1 - size**2))


def test_a_ring_up_to_one_has_finite_weights():
    layers = RecurrentLayers("lru", 3, 4, options={"state_size": 10_000})
    layers.initialize("torch", None)
    assert all(parameter.isfinite().all() for parameter in layers.parameters())
