"""Optimisers by name; an optimiser is a file here."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from recurrent_cells.config.schema import OptimizerConfig
from recurrent_cells.tables import OPTIMIZERS, Table

Memory = Mapping[str, Tensor]
# As torch's optimisers take them: parameters, or groups of these with settings of their own.
Parameters = Sequence[nn.Parameter] | Sequence[dict[str, Any]]


class Optimizer(ABC):
    """How weights follow from gradients, for one trial, and optionally for K trials at once."""

    table: ClassVar[Table] = OPTIMIZERS
    name: ClassVar[str]
    # what torch's optimiser remembers of each weight; empty: trials of a pack are updated one after another
    memory: ClassVar[tuple[str, ...]] = ()
    # whether weight decay is taken off the weights by itself; else it is a part of the gradients
    decouples_decay: ClassVar[bool] = False

    @abstractmethod
    def build(self, settings: OptimizerConfig, parameters: Parameters) -> torch.optim.Optimizer:
        """torch's optimiser with these settings, where a group has none of its own."""

    def update(self, gradients: Tensor, rates: Tensor, memory: Memory, settings: Memory) -> Tensor:
        """What K trials subtract from their weights, a new tensor (K, P), the memory being updated.

        It is proportional to the rates; decoupled weight decay is not in it. Takes all memory before the first change
        in place: where there is too little, nothing has changed.

        Args:
            gradients: (K, P).
            rates: (3, K, 1), the learning rates and Adam's two bias corrections.
            memory: (K, P) by the names in `memory`.
            settings: (K, 1) by the names of the config's keys.
        """
        raise NotImplementedError


def optimizer_of(settings: OptimizerConfig) -> Optimizer:
    """The optimiser that a config names."""
    optimizer: Optimizer = OPTIMIZERS[settings.name]()
    return optimizer


def with_momentum(direction: Tensor, memory: Memory, settings: Memory) -> Tensor:
    """The momentum buffer after it has taken a direction in, both (K, P)."""
    return memory["momentum_buffer"].mul_(settings["momentum"]).add_(direction)
