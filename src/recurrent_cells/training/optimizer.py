"""Optimisers by name."""

from collections.abc import Iterable

import torch
from torch import nn
from torch.optim import SGD, Adam, Optimizer, RMSprop

from recurrent_cells.config.schema import OptimizerConfig


class FusedAdam(Adam):
    """torch's fused Adam, which does not look up again at each step what stays the same."""

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            parameters = group["params"]
            states = [self.state[parameter] for parameter in parameters]
            if not all(states) or hasattr(self, "found_inf"):  # the first step, or one that a GradScaler checks
                super().step()
                return
            counts = [state["step"] for state in states]
            beta1, beta2 = group["betas"]
            torch._foreach_add_(counts, 1)
            torch._fused_adam_(
                parameters,
                [parameter.grad for parameter in parameters],
                [state["exp_avg"] for state in states],
                [state["exp_avg_sq"] for state in states],
                [],
                counts,
                lr=group["lr"],
                beta1=beta1,
                beta2=beta2,
                weight_decay=group["weight_decay"],
                eps=group["eps"],
                amsgrad=False,
                maximize=False,
            )


def build_optimizer(config: OptimizerConfig, parameters: Iterable[nn.Parameter]) -> Optimizer:
    """The optimiser a config names, over the trained parameters; fused into one kernel where torch has it."""
    trained = [parameter for parameter in parameters if parameter.requires_grad]
    if config.name == "adam":
        return FusedAdam(
            trained,
            lr=config.lr,
            betas=(config.beta1, config.beta2),
            eps=config.eps,
            weight_decay=config.weight_decay,
            fused=True,
        )
    if config.name == "rmsprop":
        return RMSprop(
            trained,
            lr=config.lr,
            alpha=config.alpha,
            eps=config.eps,
            momentum=config.momentum,
            weight_decay=config.weight_decay,
            foreach=True,
        )
    if config.name == "sgd":
        return SGD(trained, lr=config.lr, momentum=config.momentum, weight_decay=config.weight_decay, fused=True)
    raise ValueError(f"unknown optimizer {config.name!r}")


def set_learning_rate(optimizer: Optimizer, lr: float | torch.Tensor) -> None:
    for group in optimizer.param_groups:
        group["lr"] = lr


def clip_gradients(parameters: Iterable[nn.Parameter], max_norm: float) -> torch.Tensor:
    """Scale all gradients together to at most `max_norm`; returns their norm before, a scalar tensor."""
    return nn.utils.clip_grad_norm_(parameters, max_norm, foreach=True)
