"""sLSTM against its paper's equations, without a stabiliser and head by head."""

import pytest
import torch

from recurrent_cells.errors import UserError
from recurrent_cells.models.layers import RecurrentLayers
from tests.models.cells.loops import drawn, logistic, sequences

F, H = 3, 6
FORGET = {"sigmoid": logistic, "exponential": torch.exp}


@pytest.mark.parametrize("heads", [1, 2, 6])
@pytest.mark.parametrize("forget_gate", ["sigmoid", "exponential"])
def test_outputs_are_those_of_the_paper_s_equations(heads, forget_gate):
    layers, x = drawn("slstm", F, H, heads=heads, forget_gate=forget_gate), sequences(F)
    recurrent = torch.zeros(4, H, H, dtype=x.dtype)
    units = H // heads
    for head in range(heads):
        place = slice(head * units, (head + 1) * units)
        recurrent[:, place, place] = layers.weight_hh_l0[head].view(4, units, units)
    w, b = layers.weight_ih_l0.view(4, H, F), [0.0, *layers.bias_ih_l0.view(3, H)]
    outputs, _ = layers(x)
    for sequence, found in zip(x, outputs, strict=True):
        h = c = n = torch.zeros(H, dtype=x.dtype)
        for step, output in zip(sequence, found, strict=True):
            of_i, of_f, of_z, of_o = (w[g] @ step + recurrent[g] @ h + b[g] for g in range(4))
            i, f = torch.exp(of_i), FORGET[forget_gate](of_f)
            c, n = f * c + i * torch.tanh(of_z), f * n + i
            h = logistic(of_o) * c / n
            torch.testing.assert_close(output, h, rtol=1e-11, atol=1e-12)


def test_a_bias_of_the_input_gate_would_change_nothing():
    layers, x = drawn("slstm", F, H, heads=2), sequences(F)
    with_ones = torch.cat([x, torch.ones(*x.shape[:2], 1, dtype=x.dtype)], dim=-1)
    biased = RecurrentLayers("slstm", F + 1, H, options={"heads": 2}).double()
    with torch.no_grad():
        for name, values in layers.named_parameters():
            biased.get_parameter(name)[..., : values.shape[-1]] = values
        biased.weight_ih_l0[:, F] = 0.0
        biased.weight_ih_l0[:H, F] = 3.0
    torch.testing.assert_close(biased(with_ones)[0], layers(x)[0], rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("forget_gate", ["sigmoid", "exponential"])
def test_gates_whose_exponentials_are_no_numbers_give_numbers_and_gradients(forget_gate):
    layers = RecurrentLayers("slstm", 1, 4, options={"forget_gate": forget_gate})
    with torch.no_grad():
        layers.bias_ih_l0.zero_()
        layers.weight_ih_l0.fill_(1.0)
    x = torch.tensor([-1e4, 1e4, 0.0, 1e4, -1e4]).view(1, 5, 1).requires_grad_()
    outputs, _ = layers(x)
    outputs.sum().backward()
    assert outputs.abs().max() <= 1
    assert all(it.grad.isfinite().all() for it in (x, *layers.parameters()))


@pytest.mark.parametrize("heads", [1, 3])
def test_heads_make_recurrent_weights_fewer(heads):
    layers = RecurrentLayers("slstm", F, H, options={"heads": heads})
    assert sum(it.numel() for it in layers.parameters()) == 4 * H * (F + H // heads) + 3 * H


def test_heads_that_do_not_divide_the_hidden_units_are_refused():
    with pytest.raises(UserError, match=r"model\.options\.heads=4: allowed are divisors of model\.hidden_size=6"):
        RecurrentLayers("slstm", F, H, options={"heads": 4})


def test_keras_makes_the_weights_of_each_head_orthogonal_and_the_forget_bias_one():
    layers = RecurrentLayers("slstm", F, H, options={"heads": 2})
    layers.initialize("keras", None)
    for block in layers.weight_hh_l0.detach():
        torch.testing.assert_close(block.T @ block, torch.eye(3), atol=1e-5, rtol=0)
    expected = torch.zeros(3, H)
    expected[0] = 1
    assert torch.equal(layers.bias_ih_l0.detach().view(3, H), expected)


def test_the_forget_bias_is_that_of_the_config():
    layers = RecurrentLayers("slstm", F, H, options={"heads": 2})
    before = layers.bias_ih_l0.detach().clone().view(3, H)
    layers.initialize("torch", 2.5)
    after = layers.bias_ih_l0.detach().view(3, H)
    assert torch.equal(after[0], torch.full((H,), 2.5))
    assert torch.equal(after[1:], before[1:])
