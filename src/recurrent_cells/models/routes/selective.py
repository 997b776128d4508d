"""S6 on a CPU, with a backward pass written by hand: the states of all steps are never there at once.

A state (…, B, N, H) is made of what is smaller, (…, B, H) and (…, B, N), and is read at once. For the backward
pass a state is kept for each chunk of time; the others of a chunk are computed again.
"""

import math
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from recurrent_cells.models.cells import Weights
from recurrent_cells.models.cells.s6 import S6
from recurrent_cells.models.routes import linear

if TYPE_CHECKING:
    from recurrent_cells.models.layers import RecurrentLayers

# Numbers in a state, so that some states stay in a CPU's cache, and in the states of a chunk of time, which are kept.
STATE, CHUNK = 1 << 18, 1 << 23
# A power of 2 takes less than half the time of one of e.
LOG2_E = math.log2(math.e)


def fits(layers: "RecurrentLayers", x: Tensor, lengths: Tensor | None) -> bool:
    """Autocast would lower the precision of the state."""
    on_cpu = x.device.type == "cpu" and not torch.is_autocast_enabled("cpu")
    return on_cpu and isinstance(layers.cell, S6) and linear.fits(layers, x, lengths)


def layer(cell: S6, x: Tensor, weights: Weights, hidden_size: int, reverse: bool) -> tuple[Tensor, Tensor]:
    """(…, T, B, F) → (…, T, B, H), and the output of the last step taken (…, B, H)."""
    inputs = cell.inputs(x.flip(-3) if reverse else x, weights).flatten(-3, -2)
    rates = cell.rates(weights)
    of_rows = [it.unflatten(-2, x.shape[-3:-1]) for it in cell.factors(inputs, weights)]
    parts = zip(*(it.split(max(1, STATE // rates.numel()), dim=-2) for it in of_rows), strict=True)
    steps = torch.cat([_Scan.apply(rates, *part) for part in parts], dim=-2)
    steps = steps + cell.skipped(inputs, weights).unflatten(-2, x.shape[-3:-1])
    return steps.flip(-3) if reverse else steps, steps[..., -1, :, :]


class _Scan(torch.autograd.Function):
    """s' = exp(Δ A) s + B v, y = C s': A (…, N, H), Δ and v (…, T, B, H), B and C (…, T, B, N) → y (…, T, B, H)."""

    @staticmethod
    def forward(ctx: Any, rates: Tensor, *of_rows: Tensor) -> Tensor:
        rates = (rates * LOG2_E).unsqueeze(-3)
        outputs = torch.empty_like(of_rows[0])
        steps = _steps(*of_rows, outputs)
        state = rates.new_zeros(*outputs[..., 0, :, 0].shape, *rates.shape[-2:])
        size = max(2, CHUNK // state.numel())  # a step and the one before
        starts, states = [], [torch.empty_like(state) for _ in steps[:size]]
        for t, (delta, v, b, c, y) in enumerate(steps):
            if t % size == 0:
                starts.append(state.clone())
            state = _advance(state, delta, rates, v, b, out=states[t % size])
            y.copy_(c @ state)
        ctx.save_for_backward(rates, *of_rows)
        ctx.starts, ctx.states, ctx.are_last = starts, states, True
        return outputs

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_outputs: Tensor) -> tuple[Tensor, ...]:
        rates, *of_rows = ctx.saved_tensors
        gradients = [torch.empty_like(it) for it in of_rows]
        steps = _steps(*of_rows, d_outputs, *gradients)
        starts, states = ctx.starts, ctx.states
        d_state, d_rates, work = torch.zeros_like(starts[0]), torch.zeros_like(starts[0]), torch.empty_like(starts[0])
        for place, start in reversed(list(enumerate(starts))):
            first = place * len(states)
            chunk = list(zip(steps[first : first + len(states)], [start, *states], states, strict=False))
            if place + 1 < len(starts) or not ctx.are_last:  # of the last chunk the states are there
                for (delta, v, b, *_), before, state in chunk:
                    _advance(before, delta, rates, v, b, out=state)
            for (delta, v, b, c, d_y, d_delta, d_v, d_b, d_c), before, state in reversed(chunk):
                d_c.copy_(d_y @ state.mT)
                d_state.addcmul_(c.mT, d_y)
                d_b.copy_(v @ d_state.mT)
                d_v.copy_(b @ d_state)
                d_state.mul_(_decay(delta, rates, out=work))  # now of the state before
                torch.mul(d_state, before, out=work)
                d_rates.addcmul_(work, delta)
                torch.sum(work.mul_(rates), dim=-2, keepdim=True, out=d_delta)
        ctx.are_last = False
        gradients[0] /= LOG2_E
        return d_rates.sum(dim=-3), *gradients


def _steps(*planes: Tensor) -> list[tuple[Tensor, ...]]:
    """The rows (…, B, 1, H) or (…, B, 1, N) of each step of planes (…, T, B, H) or (…, T, B, N)."""
    return list(zip(*(it.unsqueeze(-2).unbind(-4) for it in planes), strict=True))


def _decay(delta: Tensor, rates: Tensor, out: Tensor) -> Tensor:
    return torch.mul(delta, rates, out=out).exp2_()


def _advance(state: Tensor, delta: Tensor, rates: Tensor, v: Tensor, b: Tensor, out: Tensor) -> Tensor:
    """The state after a step."""
    return _decay(delta, rates, out).mul_(state).addcmul_(b.mT, v)
