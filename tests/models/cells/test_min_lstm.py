import torch

from recurrent_cells.models.layers import RecurrentLayers
from tests.models.cells.naive import assert_is_the_loop, num_parameters


def loop(x, weights):
    """Feng et al. 2024, section 3.2.3 and appendix B: h_t = f' h_{t-1} + i' g(W_h x_t), f' = f / (f + i)."""
    of_gates, biases = weights["weight_ih"].chunk(3), weights["bias_ih"].chunk(3)
    h, outputs = torch.zeros(len(biases[0]), dtype=x.dtype), []
    for step in x:
        f, i, v = (weight @ step + bias for weight, bias in zip(of_gates, biases, strict=True))
        f, i = torch.sigmoid(f), torch.sigmoid(i)
        h = f / (f + i) * h + i / (f + i) * torch.where(v >= 0, v + 0.5, torch.sigmoid(v))
        outputs.append(h)
    return torch.stack(outputs)


def test_the_equations():
    assert_is_the_loop("min_lstm", loop)


def test_the_number_of_parameters():
    assert num_parameters("min_lstm", 3, 5) == 3 * 5 * (3 + 1)


def test_both_gates_closed_are_half_open():
    layers = RecurrentLayers("min_lstm", 1, 1)
    with torch.no_grad():
        for parameter in layers.parameters():
            parameter.zero_()
        layers.bias_ih_l0[:2] = -200.0
    outputs, _ = layers(torch.zeros(1, 2, 1))
    torch.testing.assert_close(outputs.flatten(), torch.tensor([0.25, 0.375]))
    assert torch.autograd.grad(outputs.sum(), layers.bias_ih_l0)[0].isfinite().all()


def test_the_forget_gate_s_first_bias():
    layers = RecurrentLayers("min_lstm", 3, 2)
    layers.initialize("keras", 4.0)
    assert layers.bias_ih_l0.tolist() == [4.0, 4.0, 0.0, 0.0, 0.0, 0.0]
