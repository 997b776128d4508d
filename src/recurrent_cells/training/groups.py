"""Recurrent parameters, which may have a learning rate and a weight decay of their own."""

from collections.abc import Sequence
from itertools import groupby
from typing import Any

import torch
from torch import nn

from recurrent_cells.config.schema import OptimizerConfig
from recurrent_cells.training.optimizers import Parameters

# Of a group of torch's optimiser: what the learning rate is multiplied by.
FACTOR = "lr_factor"


def grouped(settings: OptimizerConfig, parameters: Sequence[nn.Parameter], recurrent: Sequence[bool]) -> Parameters:
    """Parameters as torch's optimiser takes them: in groups where recurrent ones are treated otherwise.

    A group holds consecutive parameters only, so that the optimiser's state keeps their order.

    Args:
        recurrent: of each parameter, whether it leads from state to state.
    """
    if not settings.tells_recurrent_apart:
        return parameters
    own: dict[str, Any] = {FACTOR: settings.recurrent_lr_factor}
    if not settings.decays_recurrent:
        own["weight_decay"] = 0.0
    runs = groupby(zip(parameters, recurrent, strict=True), key=lambda pair: pair[1])
    return [{"params": [it for it, _ in run]} | (own if is_recurrent else {}) for is_recurrent, run in runs]


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Have the next step taken with a learning rate, each group's times its factor."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group.get(FACTOR, 1.0)
