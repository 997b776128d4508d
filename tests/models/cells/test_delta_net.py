"""DeltaNet against its papers' equation, with matrices written out head by head."""

import pytest
import torch

from recurrent_cells.models.layers import RecurrentLayers
from tests.models.cells.loops import drawn, logistic, sequences

F, H = 3, 6


def of_length_one(a):
    a = a * logistic(a)
    return a / a.dot(a).sqrt()


@pytest.mark.parametrize("heads", [1, 2, 6])
@pytest.mark.parametrize("max_beta", [1, 2])
def test_outputs_are_those_of_the_papers_equation(heads, max_beta):
    layers, x, units = drawn("delta_net", F, H, heads=heads, max_beta=max_beta), sequences(F), H // heads
    outputs, _ = layers(x)
    for sequence, found in zip(x, outputs, strict=True):
        states = [torch.zeros(units, units, dtype=x.dtype) for _ in range(heads)]
        for step, output in zip(sequence, found, strict=True):
            planes = layers.weight_ih_l0 @ step + layers.bias_ih_l0
            of_heads = []
            for head in range(heads):
                q, k, v = (planes[n * H + head * units :][:units] for n in range(3))
                q, k, beta = of_length_one(q), of_length_one(k), max_beta * logistic(planes[3 * H + head])
                erased = torch.eye(units, dtype=x.dtype) - beta * torch.outer(k, k)
                states[head] = states[head] @ erased + beta * torch.outer(v, k)
                of_heads.append(states[head] @ q)
            torch.testing.assert_close(output, torch.cat(of_heads), rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("heads", [1, 3])
def test_parameters_are_those_of_three_projections_and_of_beta(heads):
    layers = RecurrentLayers("delta_net", F, H, options={"heads": heads})
    assert sum(it.numel() for it in layers.parameters()) == (3 * H + heads) * (F + 1)


@pytest.mark.parametrize(("max_beta", "expected"), [(1, [1.0, 1.0, 1.0, 1.0]), (2, [2.0, 0.0, 2.0, 0.0])])
def test_what_is_written_at_a_key_replaces_it_and_with_beta_two_turns_it_over(max_beta, expected):
    layers = RecurrentLayers("delta_net", 1, 1, options={"heads": 1, "max_beta": max_beta})
    with torch.no_grad():
        layers.weight_ih_l0.zero_()
        layers.bias_ih_l0.copy_(torch.tensor([50.0, 50.0, 1.0, 50.0]))  # q = k = v = 1, β = max_beta
    outputs, _ = layers(torch.zeros(1, 4, 1))
    assert outputs.flatten().tolist() == pytest.approx(expected, abs=1e-5)
