"""RMSprop (Tieleman and Hinton 2012)."""

import torch
from torch import Tensor

from recurrent_cells.config.schema import OptimizerConfig
from recurrent_cells.training.optimizers import Memory, Optimizer, Parameters, with_momentum


class RMSprop(Optimizer):
    """RMSprop, not centred, with or without momentum."""

    name = "rmsprop"
    memory = ("square_avg", "momentum_buffer")

    def build(self, settings: OptimizerConfig, parameters: Parameters) -> torch.optim.Optimizer:
        return torch.optim.RMSprop(
            parameters,
            lr=settings.lr,
            alpha=settings.alpha,
            eps=settings.eps,
            momentum=settings.momentum,
            weight_decay=settings.weight_decay,
            foreach=True,
        )

    def update(self, gradients: Tensor, rates: Tensor, memory: Memory, settings: Memory) -> Tensor:
        weight, squares, direction = 1 - settings["alpha"], gradients * gradients, torch.empty_like(gradients)
        torch.sqrt(memory["square_avg"].lerp_(squares, weight), out=squares).add_(settings["eps"])
        torch.div(gradients, squares, out=direction)
        return torch.mul(rates[0], with_momentum(direction, memory, settings), out=squares)
