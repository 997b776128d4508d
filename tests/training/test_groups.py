"""Recurrent parameters with a rate and a weight decay of their own."""

import pytest
import torch
from torch.optim import AdamW

from recurrent_cells.config.schema import ModelConfig, OptimizerConfig
from recurrent_cells.models.classifier import build_classifier, trained_parameters
from recurrent_cells.training.groups import grouped, set_rate
from recurrent_cells.training.optimizers import optimizer_of


def kinds(**model):
    return trained_parameters(build_classifier(ModelConfig(hidden_size=4, **model), 3, 2, seed=0))


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ({}, ["recurrent.weight_hh_l0"]),
        (
            {"num_layers": 2, "bidirectional": True, "biases": 1},
            [f"recurrent.weight_hh_l{layer}{suffix}" for layer in (0, 1) for suffix in ("", "_reverse")],
        ),
        (
            {"num_layers": 2, "block": "residual", "cell": "gru", "frontend": "linear"},
            ["recurrent.blocks.0.layer.weight_hh_l0", "recurrent.blocks.1.layer.weight_hh_l0"],
        ),
        ({"cell": "delta_net"}, []),
        ({"cell": "lem"}, ["recurrent.weight_hh_l0", "recurrent.weight_hh_z_l0"]),
        (
            {"options": {"peepholes": True, "variant": "full_gate_recurrence"}},
            [f"recurrent.weight_{name}_l0" for name in ("hh", "gh", "ci", "cf", "co")],
        ),
    ],
)
def test_recurrent_parameters_are_those_from_state_to_state(model, expected):
    assert [name for name, is_recurrent in kinds(**model).items() if is_recurrent] == expected


@pytest.mark.parametrize(
    ("settings", "decay"),
    [
        ({"recurrent_lr_factor": 0.5}, 0.0),
        ({"recurrent_lr_factor": 0.5, "decay_recurrent": True}, 0.1),
        ({"decay_recurrent": False}, 0.0),
        ({}, 0.1),
    ],
)
def test_steps_are_those_of_torch_with_two_groups(settings, decay):
    config = OptimizerConfig(name="adamw", lr=0.02, weight_decay=0.1, **settings)
    generator = torch.Generator().manual_seed(0)
    values = [torch.randn(shape, generator=generator) for shape in ((5, 3), (5, 5), (5,), (5, 5))]
    recurrent = [False, True, False, True]
    ours = [torch.nn.Parameter(value.clone()) for value in values]
    theirs = [torch.nn.Parameter(value.clone()) for value in values]
    optimizer = optimizer_of(config).build(config, grouped(config, ours, recurrent))
    groups = [[theirs[0], theirs[2]], [theirs[1], theirs[3]]]
    reference = AdamW(
        [{"params": groups[0], "weight_decay": 0.1}, {"params": groups[1], "weight_decay": decay}], fused=True
    )
    for step in range(4):
        rate = 0.02 / (step + 1)
        set_rate(optimizer, rate)
        for group, factor in zip(reference.param_groups, (1.0, config.recurrent_lr_factor), strict=True):
            group["lr"] = rate * factor
        for one, other in zip(ours, theirs, strict=True):
            one.grad = torch.randn(one.shape, generator=generator)
            other.grad = one.grad.clone()
        optimizer.step()
        reference.step()
    assert all(torch.equal(one, other) for one, other in zip(ours, theirs, strict=True))


def test_a_state_counts_parameters_in_their_order():
    config = OptimizerConfig(recurrent_lr_factor=0.1)
    parameters = [torch.nn.Parameter(torch.full((size,), float(size))) for size in (1, 2, 3, 4)]
    optimizer = optimizer_of(config).build(config, grouped(config, parameters, [False, True, True, False]))
    for parameter in parameters:
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    state = optimizer.state_dict()["state"]
    assert [len(state[place]["exp_avg"]) for place in range(4)] == [1, 2, 3, 4]
