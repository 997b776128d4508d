import math

import torch

from recurrent_cells.config.schema import ModelConfig
from recurrent_cells.models.classifier import build_classifier

H = 16


def weights(**model):
    return build_classifier(ModelConfig(hidden_size=H, **model), 8, 10, seed=0).state_dict()


def forget_bias(state):
    rows = slice(H, 2 * H)
    return state["recurrent.bias_ih_l0"][rows] + state["recurrent.bias_hh_l0"][rows]


def test_keras_lstm_is_glorot_orthogonal_and_remembers():
    state = weights(cell="lstm", init="keras")
    recurrent = state["recurrent.weight_hh_l0"]
    torch.testing.assert_close(recurrent.T @ recurrent, torch.eye(H), atol=1e-5, rtol=0)
    limit = math.sqrt(6 / (8 + 4 * H))
    assert 0.9 * limit < state["recurrent.weight_ih_l0"].abs().max() <= limit
    assert torch.equal(forget_bias(state), torch.ones(H))
    biases = state["recurrent.bias_ih_l0"] + state["recurrent.bias_hh_l0"]
    assert torch.equal(biases.view(4, H)[[0, 2, 3]], torch.zeros(3, H))
    assert torch.equal(state["head.0.bias"], torch.zeros(10))


def test_normal_draws_linear_layers_from_a_standard_normal():
    state = weights(cell="lstm", init="normal", frontend="linear", frontend_size=128)
    weight = state["frontend.linear.weight"]
    assert abs(weight.mean()) < 0.1
    assert abs(weight.std() - 1) < 0.05
    assert torch.equal(state["frontend.linear.bias"], torch.full((128,), 0.1))
    assert torch.equal(state["head.0.bias"], torch.full((10,), 0.1))


def test_normal_leaves_the_projections_of_blocks_as_keras_has_them():
    block = {"cell": "lstm", "block": "residual", "num_layers": 2}
    normal, keras = (weights(init=init, **block) for init in ("normal", "keras"))
    for name in ("recurrent.projection", "recurrent.blocks.0.gated", "recurrent.blocks.1.gated"):
        inputs, outputs = normal[f"{name}.weight"].T.shape
        for state in (normal, keras):
            assert state[f"{name}.weight"].abs().max() <= math.sqrt(6 / (inputs + outputs))
            assert torch.equal(state[f"{name}.bias"], torch.zeros(outputs))
    assert torch.equal(normal["head.0.bias"], torch.full((10,), 0.1))


def test_forget_bias_stands_by_itself():
    assert torch.equal(forget_bias(weights(cell="lstm", init="torch", forget_bias=2.5)), torch.full((H,), 2.5))
    assert torch.equal(forget_bias(weights(cell="lstm", init="keras", forget_bias=0.0)), torch.zeros(H))


def test_torch_leaves_the_library_default():
    torch_bias = forget_bias(weights(cell="lstm", init="torch"))
    assert torch_bias.std() > 0


def test_one_bias_per_gate_trains_no_second():
    classifier = build_classifier(ModelConfig(cell="gru", hidden_size=H, biases=1), 8, 10, seed=0)
    second = classifier.recurrent.bias_hh_l0
    assert not second.requires_grad
    assert torch.equal(second, torch.zeros(3 * H))
