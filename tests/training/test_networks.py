"""The networks of a program with their optimisers."""

import pytest
import torch

from recurrent_cells.training.networks import SingleNetwork
from tests.training.test_fit import Kept

CPU = torch.device("cpu")


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "rmsprop", "sgd"])
def test_a_loss_that_is_scaled_too_far_takes_no_step_and_the_next_is_the_unscaled(configs, tmp_path, optimizer):
    (config,) = configs("model=lstm", f"optimizer={optimizer}", "optimizer.clip_norm=1", each=[{"seed": 3}])
    one = torch.ones(())
    plain, scaled = (
        SingleNetwork(Kept(tmp_path).add(config), CPU, torch.float32, precision)
        for precision in ("32-true", "16-mixed")
    )
    scale = scaled.total(one)
    before = [weight.clone() for weight in scaled.trained]
    scaled.update([torch.full_like(weight, torch.inf) for weight in before], 0)
    assert all(map(torch.equal, scaled.trained, before))
    assert scaled.total(one) == scale / 2 > 1

    gradients = [torch.randn_like(weight) for weight in before]
    plain.update(gradients, 0)
    scaled.update([gradient * scale / 2 for gradient in gradients], 0)
    for one_weight, other in zip(scaled.trained, plain.trained, strict=True):
        torch.testing.assert_close(one_weight, other)

    resumed = Kept(tmp_path).add(config)
    (resumed.state,) = ({**state, "best": None} for state in scaled.states())
    assert SingleNetwork(resumed, CPU, torch.float32, "16-mixed").total(one) == scale / 2


@pytest.mark.parametrize("precision", ["32-true", "16-mixed"])
def test_a_gradient_that_two_weights_share_is_scaled_once(configs, tmp_path, precision):
    (config,) = configs("model=lstm", "optimizer=sgd", "optimizer.clip_norm=1", each=[{"seed": 3}])
    shared, apart = (SingleNetwork(Kept(tmp_path).add(config), CPU, torch.float32, precision) for _ in range(2))
    biases = [place for place, weight in enumerate(shared.trained) if weight.dim() == 1][:2]
    scale, _ = (network.total(torch.ones(())) for network in (shared, apart))
    gradients = [scale * torch.randn_like(weight) for weight in shared.trained]
    gradients[biases[1]] = gradients[biases[0]]
    apart.update([gradient.clone() for gradient in gradients], 0)
    shared.update(gradients, 0)
    for one_weight, other in zip(shared.trained, apart.trained, strict=True):
        torch.testing.assert_close(one_weight, other)
