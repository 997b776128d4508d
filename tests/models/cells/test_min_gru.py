import torch

from tests.models.cells.naive import assert_is_the_loop, num_parameters


def loop(x, weights):
    """Feng et al. 2024, section 3.1.3 and appendix B: h_t = (1 - z_t) h_{t-1} + z_t g(W_h x_t)."""
    (of_z, of_h), (bias_z, bias_h) = weights["weight_ih"].chunk(2), weights["bias_ih"].chunk(2)
    h, outputs = torch.zeros(len(bias_z), dtype=x.dtype), []
    for step in x:
        z = torch.sigmoid(of_z @ step + bias_z)
        v = of_h @ step + bias_h
        h = (1 - z) * h + z * torch.where(v >= 0, v + 0.5, torch.sigmoid(v))
        outputs.append(h)
    return torch.stack(outputs)


def test_the_equations():
    assert_is_the_loop("min_gru", loop)


def test_the_number_of_parameters():
    assert num_parameters("min_gru", 3, 5) == 2 * 5 * (3 + 1)
