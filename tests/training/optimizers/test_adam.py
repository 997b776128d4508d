"""Adam and AdamW are torch's, to the bit."""

import copy

import pytest
import torch
from torch.optim import Adam, AdamW

from recurrent_cells.config.schema import OptimizerConfig
from recurrent_cells.training.optimizers import optimizer_of


def weights(seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [torch.nn.Parameter(torch.randn(shape, generator=generator)) for shape in ((5, 3), (5,))]


def give_gradients(parameters, step):
    generator = torch.Generator().manual_seed(100 + step)
    for parameter in parameters:
        parameter.grad = torch.randn(parameter.shape, generator=generator)


@pytest.fixture(params=["adam", "adamw"])
def both(request):
    """Weights and Adam of this project beside those of torch."""
    ours, theirs = weights(), weights()
    config = OptimizerConfig(name=request.param, lr=0.02, beta1=0.8, beta2=0.95, eps=1e-6, weight_decay=0.1)
    settings = {"lr": 0.02, "betas": (0.8, 0.95), "eps": 1e-6, "weight_decay": 0.1, "fused": True}
    reference = {"adam": Adam, "adamw": AdamW}[request.param](theirs, **settings)
    return ours, optimizer_of(config).build(config, ours), theirs, reference


def test_steps_are_those_of_torch(both):
    ours, optimizer, theirs, reference = both
    for step in range(5):
        for parameters, used in ((ours, optimizer), (theirs, reference)):
            used.param_groups[0]["lr"] = 0.02 / (step + 1)
            give_gradients(parameters, step)
            used.step()
        if step == 2:  # as after an interruption
            optimizer.load_state_dict(copy.deepcopy(reference.state_dict()))
    assert all(torch.equal(one, other) for one, other in zip(ours, theirs, strict=True))
    assert optimizer.state_dict()["state"].keys() == reference.state_dict()["state"].keys()


def test_it_leaves_out_a_step_whose_scaled_gradients_are_infinite(both):
    ours, optimizer, theirs, reference = both
    for parameters, used in ((ours, optimizer), (theirs, reference)):
        scaler = torch.amp.GradScaler("cpu", init_scale=8.0)
        for step in range(4):
            give_gradients(parameters, step)
            for parameter in parameters:
                parameter.grad *= scaler.scale(torch.tensor(1.0))
            if step == 2:
                parameters[0].grad[0, 0] = torch.inf
            scaler.unscale_(used)
            scaler.step(used)
            scaler.update()
    assert all(torch.equal(one, other) for one, other in zip(ours, theirs, strict=True))
    assert all(weight.isfinite().all() for weight in ours)
