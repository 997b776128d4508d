"""Cells whose recurrence is linear, s_t = a_t s_{t-1} + b_t, by a scan over all steps: one network or K at once.

A layer is one operation that takes time in pieces: the coefficients of a piece are computed together and stay in a
CPU's cache until its states and outputs, or in the backward pass its gradients, are there. Of a large layer only the
input and the state before each piece are kept for the backward pass, the rest is computed again: memory does not grow
with the states of all steps.
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from recurrent_cells.models.cells import Cell, LinearCell, Weights
from recurrent_cells.models.routes.linear_scan import scan

# Numbers in the states of a piece: what stays in a CPU's cache, and what keeps a GPU busy.
PIECE = {"cpu": 1 << 19, "cuda": 1 << 25}
# Numbers in the states of a layer so small that everything is kept between the ways.
RECORDED = 1 << 23

Gradients = list[Tensor | None]


def fits(layers: nn.Module, x: Tensor, lengths: Tensor | None) -> bool:
    return not torch.compiler.is_compiling() and not torch.jit.is_tracing()


def layer(cell: Cell, x: Tensor, weights: Weights, hidden_size: int, reverse: bool) -> tuple[Tensor, Tensor]:
    """Autocast lowers the precision of products alone, not that of coefficients and states."""
    outputs, last = _Layer.apply(cell, hidden_size, reverse, tuple(weights), x, *weights.values())
    return outputs, last


class _Layer(torch.autograd.Function):
    """One layer in one direction: (…, T, B, F) → (…, T, B, H), and the output of its last step (…, B, H)."""

    @staticmethod
    def forward(
        ctx: Any, cell: LinearCell, hidden_size: int, reverse: bool, names: tuple[str, ...], x: Tensor, *values: Tensor
    ) -> tuple[Tensor, Tensor]:
        ctx.set_materialize_grads(False)  # where only the last output is read there are no gradients of all steps
        leaves = _leaves(values, ctx.needs_input_grad[5:])
        weights = dict(zip(names, leaves, strict=True))
        outputs = values[0].new_empty(*x.shape[:-1], hidden_size)
        numbers = _numbers(x, cell.state_size(hidden_size))
        is_recorded = numbers * x.shape[-3] <= RECORDED and any(ctx.needs_input_grad)
        end: Tensor | None = None
        ctx.pieces = []
        for steps in _pieces(x, numbers, reverse):
            (of_steps,) = _leaves([x[..., steps, :, :]], ctx.needs_input_grad[4:5])
            with torch.set_grad_enabled(is_recorded):
                piece = _Piece(cell, of_steps, weights, end, reverse)
            ctx.pieces.append((steps, end, piece if is_recorded else None))
            outputs[..., steps, :, :] = piece.outputs.detach()
            end = _last(piece.states, reverse).clone()
        ctx.save_for_backward(x, *values)
        ctx.kept = cell, reverse, names, leaves, _autocast(x)
        return outputs, _last(outputs, reverse).clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_outputs: Tensor | None, d_last: Tensor | None) -> tuple[Tensor | None, ...]:
        x, *_ = ctx.saved_tensors  # raises if the input or a weight was changed in between
        cell, reverse, names, leaves, autocast = ctx.kept
        d_x = torch.zeros_like(x) if ctx.needs_input_grad[4] else None
        totals: Gradients = [None] * len(leaves)
        d_end: Tensor | None = None
        for steps, start, recorded in reversed(ctx.pieces):
            d_piece = None if d_outputs is None else d_outputs[..., steps, :, :]
            with torch.enable_grad(), autocast:
                piece = recorded
                if piece is None:
                    (of_steps,) = _leaves([x[..., steps, :, :]], ctx.needs_input_grad[4:5])
                    piece = _Piece(cell, of_steps, dict(zip(names, leaves, strict=True)), start, reverse)
                if d_last is not None:  # of the last step taken, in the first of these pieces
                    d_piece, d_last = piece.with_last(d_piece, d_last), None
                (d_steps, *gradients), d_end = piece.backward(d_piece, d_end)
            if d_x is not None and d_steps is not None:
                d_x[..., steps, :, :] = d_steps
            totals = _sums(totals, gradients)
        ctx.pieces = [(steps, start, None) for steps, start, _ in ctx.pieces]  # a graph goes back once
        return None, None, None, None, d_x, *totals


class _Piece:
    """Some steps (…, L, B, F) of a layer, and what follows from them and the state `start` (…, B, S) before.

    Made under autograd it records how coefficients follow from steps and weights, and `backward` goes through them.
    """

    def __init__(self, cell: LinearCell, x: Tensor, weights: Weights, start: Tensor | None, reverse: bool) -> None:
        self._cell, self._x, self._weights, self._start, self._reverse = cell, x, weights, start, reverse
        dtype = next(iter(weights.values())).dtype
        self._inputs = cell.inputs(x, weights).flatten(-3, -2).to(dtype)
        a, b = (it.to(dtype) for it in cell.coefficients(self._inputs, weights))
        self._a = a.unsqueeze(-3) if a.shape[-2] == 1 else a.unflatten(-2, x.shape[-3:-1])
        self._b = b.unflatten(-2, x.shape[-3:-1])
        with torch.no_grad():
            self._factors = self._numbers(self._a)
            self._links = self._factors if self._a.shape[-3] == 1 else _after_first(self._factors, reverse)
            carried = None if start is None else _first(self._factors, reverse) * start
            self.states = scan(self._links, self._numbers(self._b), carried, reverse)
        self.outputs = self.states
        if not cell.outputs_are_states:
            self._read = [it.detach().requires_grad_() for it in (self._parts(self.states), self._inputs)]
            outputs = cell.outputs(self._read[0].flatten(-3, -2), self._read[1], weights)
            self.outputs = outputs.unflatten(-2, x.shape[-3:-1]).to(dtype)

    def _numbers(self, parts: Tensor) -> Tensor:
        """Of a complex cell the complex numbers (…, S / 2) of parts (…, S)."""
        return torch.view_as_complex(parts.unflatten(-1, (-1, 2)).contiguous()) if self._cell.is_complex else parts

    def _parts(self, numbers: Tensor) -> Tensor:
        return torch.view_as_real(numbers).flatten(-2) if self._cell.is_complex else numbers

    def with_last(self, d_outputs: Tensor | None, d_last: Tensor) -> Tensor:
        """The gradient (…, L, B, H) of the outputs, to which that of the last step taken (…, B, H) is added."""
        d_outputs = torch.zeros_like(self.outputs) if d_outputs is None else d_outputs.clone()
        _last(d_outputs, self._reverse).add_(d_last)
        return d_outputs

    def backward(self, d_outputs: Tensor | None, d_end: Tensor | None) -> tuple[Gradients, Tensor]:
        """The gradients of the steps and then of the weights, and what reaches the state before the first step.

        Args:
            d_outputs: (…, L, B, H); None is zero.
            d_end: (…, B, S), what reaches the state after the last step from later ones; None is zero.
        """
        leaves, d_states, ends = [self._x, *self._weights.values()], d_outputs, []
        gradients: Gradients = [None] * len(leaves)
        if d_outputs is not None and not self._cell.outputs_are_states:
            read = [(self.outputs, d_outputs)]
            d_states, d_inputs, *gradients[1:] = _gradients(read, [*self._read, *leaves[1:]])
            if d_inputs is not None:
                ends.append((self._inputs, d_inputs))
        with torch.no_grad():
            d_states = torch.zeros_like(self.states) if d_states is None else self._numbers(d_states)
            d_b = scan(_conjugate(self._links), d_states, d_end, not self._reverse)
            d_a = _of_factors(d_b, self.states, self._start, self._reverse).sum_to_size(self._factors.shape)
            d_start = _conjugate(_first(self._factors, self._reverse)) * _first(d_b, self._reverse)
        ends += [(self._a, self._parts(d_a)), (self._b, self._parts(d_b))]
        return _sums(gradients, _gradients(ends, leaves)), d_start


def _of_factors(d_states: Tensor, states: Tensor, start: Tensor | None, reverse: bool) -> Tensor:
    """The gradient of each step's factor, (…, L, B, S): that of the state times the conjugate of the one before."""
    products = torch.empty_like(d_states)
    before = _conjugate(_after_first(states, not reverse))
    torch.mul(_after_first(d_states, reverse), before, out=_after_first(products, reverse))
    if start is None:
        _first(products, reverse).zero_()
    else:
        torch.mul(_first(d_states, reverse), _conjugate(start), out=_first(products, reverse))
    return products


def _numbers(x: Tensor, state_size: int) -> int:
    """Those in the states of a step of x (…, T, B, F)."""
    return math.prod(x.shape[:-3]) * x.shape[-2] * state_size


def _pieces(x: Tensor, numbers: int, reverse: bool) -> list[slice]:
    """The steps of each piece of x (…, T, B, F), whose states have so many numbers, in the order of being taken."""
    size, count = max(1, PIECE[x.device.type] // max(1, numbers)), x.shape[-3]
    pieces = [slice(start, min(start + size, count)) for start in range(0, count, size)]
    return pieces[::-1] if reverse else pieces


def _leaves(values: Sequence[Tensor], needed: Sequence[bool]) -> list[Tensor]:
    """The same values, where a graph of a piece begins."""
    return [value.detach().requires_grad_(it) for value, it in zip(values, needed, strict=True)]


def _gradients(ends: list[tuple[Tensor, Tensor]], leaves: list[Tensor]) -> Gradients:
    """Of `leaves` from those of `ends`; None where there is none."""
    ends = [(end, gradient) for end, gradient in ends if end.requires_grad]
    wanted = [leaf for leaf in leaves if leaf.requires_grad]
    if not ends or not wanted:
        return [None] * len(leaves)
    tensors, gradients = zip(*ends, strict=True)
    found = iter(torch.autograd.grad(tensors, wanted, gradients, allow_unused=True))
    return [next(found) if leaf.requires_grad else None for leaf in leaves]


def _sums(gradients: Gradients, others: Gradients) -> Gradients:
    pairs = zip(gradients, others, strict=True)
    return [a if b is None else b if a is None else a + b for a, b in pairs]


def _conjugate(x: Tensor) -> Tensor:
    return x.conj().resolve_conj()


def _first(steps: Tensor, reverse: bool) -> Tensor:
    """The first step taken of (…, T, B, S)."""
    return steps[..., -1 if reverse else 0, :, :]


def _last(steps: Tensor, reverse: bool) -> Tensor:
    return _first(steps, not reverse)


def _after_first(steps: Tensor, reverse: bool) -> Tensor:
    """All steps but the first taken."""
    return steps[..., :-1, :, :] if reverse else steps[..., 1:, :, :]


def _autocast(x: Tensor) -> torch.autocast:
    """The autocast that is on now, to come back to on the way back."""
    device = x.device.type
    return torch.autocast(device, torch.get_autocast_dtype(device), torch.is_autocast_enabled(device))
