"""Stochastic gradient descent."""

import torch
from torch import Tensor

from recurrent_cells.config.schema import OptimizerConfig
from recurrent_cells.training.optimizers import Memory, Optimizer, Parameters, with_momentum


class SGD(Optimizer):
    """Stochastic gradient descent, with or without momentum."""

    name = "sgd"
    memory = ("momentum_buffer",)

    def build(self, settings: OptimizerConfig, parameters: Parameters) -> torch.optim.Optimizer:
        return FusedSGD(
            parameters,
            lr=settings.lr,
            momentum=settings.momentum,
            weight_decay=settings.weight_decay,
            fused=True,
        )

    def update(self, gradients: Tensor, rates: Tensor, memory: Memory, settings: Memory) -> Tensor:
        step = torch.empty_like(gradients)
        return torch.mul(rates[0], with_momentum(gradients, memory, settings), out=step)


class FusedSGD(torch.optim.SGD):
    """torch's fused SGD, whose momentum begins at zero too where a GradScaler leaves out the first step."""

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        if hasattr(self, "found_inf"):
            for group in self.param_groups:
                for parameter in group["params"] if group["momentum"] > 0 else ():
                    state = self.state[parameter]
                    if state.get("momentum_buffer") is None:
                        state["momentum_buffer"] = torch.zeros_like(parameter)
        super().step()
