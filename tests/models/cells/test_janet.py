"""JANET against its paper's equations, and its biases at the start."""

import math

import pytest
import torch

from recurrent_cells.models.layers import RecurrentLayers
from tests.models.cells.loops import drawn, logistic, sequences

F, H = 3, 5


@pytest.mark.parametrize("beta", [0.0, 1.0])
def test_outputs_are_those_of_the_paper_s_equations(beta):
    layers, x = drawn("janet", F, H, beta=beta), sequences(F)
    w, u = layers.weight_ih_l0.split(H), layers.weight_hh_l0.split(H)
    b = (layers.bias_ih_l0 + layers.bias_hh_l0).split(H)
    outputs, _ = layers(x)
    for sequence, found in zip(x, outputs, strict=True):
        c = torch.zeros(H, dtype=x.dtype)
        for step, output in zip(sequence, found, strict=True):
            s, candidate = (w[g] @ step + u[g] @ c + b[g] for g in range(2))
            c = logistic(s) * c + (1 - logistic(s - beta)) * torch.tanh(candidate)
            torch.testing.assert_close(output, c, rtol=1e-11, atol=1e-12)


def test_parameters_are_those_of_two_gates():
    assert sum(it.numel() for it in RecurrentLayers("janet", F, H).parameters()) == 2 * H * (F + H + 2)


@pytest.mark.parametrize("init", ["torch", "keras"])
def test_memories_last_up_to_the_steps_at_the_start(init):
    layers = RecurrentLayers("janet", F, 2000, options={"steps": 100})
    layers.initialize(init, None)
    of_s, of_candidate = layers.bias_ih_l0.detach().split(2000)
    assert 0 <= of_s.min() < math.log(3)
    assert math.log(90) < of_s.max() <= math.log(99)
    torch.testing.assert_close(of_s.exp().mean(), torch.tensor(50.0), rtol=0.05, atol=0)
    assert not of_candidate.any()
    assert not layers.bias_hh_l0.any()


def test_the_forget_bias_is_that_of_the_config():
    layers = RecurrentLayers("janet", F, H)
    layers.initialize("keras", 2.5)
    assert layers.bias_ih_l0.tolist() == [2.5] * H + [0.0] * H
