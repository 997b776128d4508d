"""What loops over a paper's equations take: a layer with weights of its own, and sequences."""

from typing import Any

import torch
from torch import Tensor

from recurrent_cells.models.layers import RecurrentLayers

BATCH, STEPS = 2, 6


def drawn(cell: str, input_size: int, hidden_size: int, **options: Any) -> RecurrentLayers:
    """A layer in float64 with weights from N(0, 0.7²), in which no part is small enough to be overlooked."""
    layers = RecurrentLayers(cell, input_size, hidden_size, options=options).double()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in layers.parameters():
            parameter.normal_(0.0, 0.7, generator=generator)
    return layers.requires_grad_(False)


def sequences(num_features: int) -> Tensor:
    """(B, T, F) from N(0, 1)."""
    return torch.randn(BATCH, STEPS, num_features, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def logistic(x: Tensor) -> Tensor:
    return 1 / (1 + torch.exp(-x))
