"""The cell's own step in a loop over time, under autograd: any cell, any number of networks."""

import torch
from torch import Tensor, nn

from recurrent_cells.models.cells import Cell, Weights


def fits(layers: nn.Module, x: Tensor, lengths: Tensor | None) -> bool:
    return True


def layer(cell: Cell, x: Tensor, weights: Weights, hidden_size: int, reverse: bool) -> tuple[Tensor, Tensor]:
    """Autocast lowers the precision of products alone, not that of the state."""
    inputs = cell.inputs(x, weights).to(next(iter(weights.values())).dtype)
    steps = inputs.unbind(-3)  # indexing in the loop makes the backward pass quadratic in T
    state = cell.zero_state(steps[0], hidden_size)
    outputs = []
    for step in reversed(steps) if reverse else steps:
        state = cell.step(step, state, weights)
        outputs.append(state[0])
    return torch.stack(outputs[::-1] if reverse else outputs, dim=-3), outputs[-1]
