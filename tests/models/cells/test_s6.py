import pytest
import torch

from recurrent_cells.models.layers import RecurrentLayers
from tests.models.cells.naive import assert_is_the_loop, num_parameters


def loop(x, weights):
    """Gu and Dao 2023, algorithm 2: h_t = exp(Δ_t A) h_{t-1} + Δ_t B_t u_t, y_t = C_t h_t + D u_t, for each feature."""
    hidden_size, numbers = weights["decay"].shape
    rank = weights["weight_step"].shape[1]
    a = -torch.exp(weights["decay"])
    state, outputs = torch.zeros_like(a), []
    for step in x:
        products = weights["weight_ih"] @ step + weights["bias_ih"]
        u, low_rank, b, c = products.split([hidden_size, rank, numbers, numbers])
        delta = torch.log(1 + torch.exp(weights["weight_step"] @ low_rank + weights["bias_step"]))
        features = range(hidden_size)
        state = torch.stack([torch.exp(delta[n] * a[n]) * state[n] + delta[n] * b * u[n] for n in features])
        outputs.append(state @ c + weights["skip"] * u)
    return torch.stack(outputs)


@pytest.mark.parametrize("state_size", [1, 4])
def test_the_equations(state_size):
    assert_is_the_loop("s6", loop, state_size=state_size)


@pytest.mark.parametrize(("hidden_size", "rank"), [(5, 1), (33, 3)])
def test_the_number_of_parameters(hidden_size, rank):
    expected = (hidden_size + rank + 2 * 4) * (3 + 1) + hidden_size * (rank + 4 + 2)
    assert num_parameters("s6", 3, hidden_size, state_size=4) == expected


@pytest.mark.parametrize("init", ["torch", "keras"])
def test_the_first_system(init):
    layers = RecurrentLayers("s6", 3, 1000, options={"state_size": 3})
    layers.initialize(init, None)
    torch.testing.assert_close(-torch.exp(layers.decay_l0[0]), torch.tensor([-1.0, -2.0, -3.0]))
    assert torch.equal(layers.skip_l0, torch.ones(1000))
    step = torch.nn.functional.softplus(layers.bias_step_l0)
    assert 0.001 <= step.min() < 0.0011
    assert 0.09 < step.max() <= 0.1001
    assert layers.weight_step_l0.abs().max() <= 63**-0.5
