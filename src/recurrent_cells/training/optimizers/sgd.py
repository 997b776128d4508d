"""Stochastic gradient descent."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from recurrent_cells.config.schema import OptimizerConfig
from recurrent_cells.training.optimizers import Memory, Optimizer, with_momentum


class SGD(Optimizer):
    """Stochastic gradient descent, with or without momentum."""

    name = "sgd"
    memory = ("momentum_buffer",)

    def build(self, settings: OptimizerConfig, parameters: Sequence[nn.Parameter]) -> torch.optim.Optimizer:
        return torch.optim.SGD(
            parameters,
            lr=settings.lr,
            momentum=settings.momentum,
            weight_decay=settings.weight_decay,
            fused=True,
        )

    def update(self, gradients: Tensor, rates: Tensor, memory: Memory, settings: Memory) -> Tensor:
        step = torch.empty_like(gradients)
        return torch.mul(rates[0], with_momentum(gradients, memory, settings), out=step)
