"""Cells that have their whole step written by hand, forward and backward: one network or K at once.

Autograd would record every operation of every step, and form the gradients of weights step by step. Here a layer is one
operation: the input's part of all steps is one product for each gate, so is the gradient of each weight. Each gate is a
plane of its own, so that a step works on whole pieces of memory.
"""

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from recurrent_cells.models.cells import Cell, Weights
from recurrent_cells.models.routes import linear

if TYPE_CHECKING:
    from recurrent_cells.models.layers import RecurrentLayers


def fits(layers: "RecurrentLayers", x: Tensor, lengths: Tensor | None) -> bool:
    """Autocast would lower the precision of the state."""
    on_device = x.device.type == "cpu" or layers.cell.whole_steps.on_gpu
    return on_device and linear.fits(layers, x, lengths) and not torch.is_autocast_enabled(x.device.type)


def layer(cell: Cell, x: Tensor, weights: Weights, hidden_size: int, reverse: bool) -> tuple[Tensor, Tensor]:
    """(…, T, B, F) → (…, T, B, H), and the output of the last step taken (…, B, H)."""
    bias = cell.whole_steps.bias(weights)
    parts = [x, weights["weight_ih"], bias, *(weights[name] for name in cell.recurrent)]
    if x.dim() == 3:
        parts = [it.unsqueeze(0) for it in parts]
    outputs = _Layer.apply(cell, reverse, *parts)
    outputs = outputs if x.dim() == 4 else outputs.squeeze(0)
    return outputs, outputs[..., 0 if reverse else -1, :, :]


class _Layer(torch.autograd.Function):
    """x (K, T, B, F), W (K, G·H, F), b (K, G·H) and recurrent weights (K, …) → h (K, T, B, H)."""

    @staticmethod
    def forward(
        ctx: Any, cell: Cell, reverse: bool, x: Tensor, weight_ih: Tensor, bias: Tensor, *recurrent: Tensor
    ) -> Tensor:
        steps = cell.whole_steps(cell.settings, recurrent)
        rows, gates = x.flatten(1, 2), steps.num_gates
        by_gate = zip(weight_ih.chunk(gates, dim=1), bias.unsqueeze(1).chunk(gates, dim=2), strict=True)
        planes = [torch.baddbmm(b, rows, weight.mT).unflatten(1, x.shape[1:3]) for weight, b in by_gate]
        start = cell.zero_state(planes[0][:, 0], planes[0].shape[-1])
        # One step more than those of x: the state before the first.
        networks, count, batch, hidden = planes[0].shape
        states = [x.new_empty(networks, count + 1, batch, hidden) for _ in range(len(start) + steps.num_kept)]
        for state, value in zip(states, start, strict=False):
            state[:, -1 if reverse else 0] = value
        before, after = _before_and_after(states, reverse)
        for step in _in_order(reverse, planes, before, after):
            steps.forward(*step)
        ctx.save_for_backward(x, weight_ih, *recurrent)
        ctx.kept = steps, len(start), reverse, planes, states
        return after[0]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_outputs: Tensor) -> tuple[Tensor | None, ...]:
        x, weight_ih, *_ = ctx.saved_tensors  # raises if a weight was changed in between
        if ctx.kept is None:
            raise RuntimeError("these layers cannot go backward twice; model.kernel=reference can")
        (steps, num_states, reverse, planes, states), ctx.kept = ctx.kept, None
        before, after = _before_and_after(states, reverse)
        d_state = [torch.zeros_like(after[0][:, 0]) for _ in range(num_states)]
        for *step, (d_output,) in _in_order(not reverse, planes, before, after, [d_outputs]):
            d_state[0].add_(d_output)
            d_state = steps.backward(*step, d_state)
        rows, *of_rows = (it.flatten(1, 2) for it in (x, *planes))
        recurrent = steps.weight_gradients(of_rows, *([it.flatten(1, 2) for it in part] for part in (before, after)))
        d_x = None
        if ctx.needs_input_grad[2]:
            d_x = torch.zeros_like(rows)
            for d_plane, weight in zip(of_rows, weight_ih.chunk(len(of_rows), dim=1), strict=True):
                d_x.baddbmm_(d_plane, weight)
            d_x = d_x.unflatten(1, x.shape[1:3])
        d_weight = torch.cat([torch.bmm(d_plane.mT, rows) for d_plane in of_rows], dim=1)
        d_bias = torch.cat([d_plane.sum(dim=1) for d_plane in of_rows], dim=1)
        return None, None, d_x, d_weight, d_bias, *recurrent


def _before_and_after(states: list[Tensor], reverse: bool) -> tuple[list[Tensor], list[Tensor]]:
    """What is there before and after each step (K, T, B, H), of states (K, T + 1, B, H)."""
    earlier, later = [it[:, :-1] for it in states], [it[:, 1:] for it in states]
    return (later, earlier) if reverse else (earlier, later)


def _in_order(reverse: bool, *groups: list[Tensor]) -> list[tuple[tuple[Tensor, ...], ...]]:
    """Of each step, from the first or from the last on, the tensors (K, B, H) of groups of tensors (K, T, B, H)."""
    by_step = [zip(*(it.unbind(1) for it in group), strict=True) for group in groups]
    steps = list(zip(*by_step, strict=True))
    return steps[::-1] if reverse else steps
