"""The cell's own step in torch's scan, for programs that are exported to take sequences of any length."""

import torch
from torch import Tensor, nn

from recurrent_cells.models.cells import Cell, State, Weights


def fits(layers: nn.Module, x: Tensor, lengths: Tensor | None) -> bool:
    return isinstance(x.shape[-2], torch.SymInt)


def layer(cell: Cell, x: Tensor, weights: Weights, hidden_size: int, reverse: bool) -> tuple[Tensor, Tensor]:
    from torch._higher_order_ops.scan import scan

    inputs = cell.inputs(x, weights)
    # A tensor of its own for each state: of equal ones the export would make one.
    start = tuple(state.clone() for state in cell.zero_state(inputs[0], hidden_size))

    def step(state: State, taken: Tensor) -> tuple[State, Tensor]:
        after = cell.step(taken, state, weights)
        return after, after[0].clone()

    last, outputs = scan(step, start, inputs, dim=0, reverse=reverse)
    return outputs, last[0]
