import pytest
import torch

from recurrent_cells.models.layers import RecurrentLayers
from tests.models.cells.naive import assert_is_the_loop, num_parameters


def loop(x, weights):
    """De et al. 2024, equations 1 to 4: h_t = a_t h_{t-1} + sqrt(1 - a_t²) (i_t x_t), a_t = a^(8 r_t)."""
    (of_r, of_i, of_u), (bias_r, bias_i, bias_u) = weights["weight_ih"].chunk(3), weights["bias_ih"].chunk(3)
    a = 1 / (1 + torch.exp(weights["decay"]))  # exp(-softplus(Λ)), the sigmoid of -Λ
    h, outputs = torch.zeros(len(bias_r), dtype=x.dtype), []
    for step in x:
        r, i = torch.sigmoid(of_r @ step + bias_r), torch.sigmoid(of_i @ step + bias_i)
        a_t = a ** (8 * r)
        h = a_t * h + torch.sqrt(1 - a_t**2) * (i * (of_u @ step + bias_u))
        outputs.append(h)
    return torch.stack(outputs)


def test_the_equations():
    assert_is_the_loop("rg_lru", loop)


def test_the_number_of_parameters():
    assert num_parameters("rg_lru", 3, 5) == 3 * 5 * (3 + 1) + 5


@pytest.mark.parametrize("init", ["torch", "keras"])
def test_an_open_gate_begins_to_keep_nine_tenths_or_more(init):
    layers = RecurrentLayers("rg_lru", 3, 1000)
    layers.initialize(init, None)
    kept = torch.sigmoid(-layers.decay_l0.double()) ** 8
    assert 0.9 < kept.min() < 0.901
    assert 0.998 < kept.max() < 0.999
    assert abs(kept.mean() - 0.9495) < 0.005


def test_a_closed_gate_keeps_all_and_has_finite_gradients():
    layers = RecurrentLayers("rg_lru", 1, 1)
    layers.initialize("torch", None)
    with torch.no_grad():
        layers.bias_ih_l0[0] = -200.0
    outputs, _ = layers(torch.ones(1, 3, 1))
    torch.testing.assert_close(outputs, torch.zeros(1, 3, 1))
    assert all(it.isfinite().all() for it in torch.autograd.grad(outputs.sum(), list(layers.parameters())))
