"""Cells whose recurrence is linear, s_t = a_t s_{t-1} + b_t, by a scan over all steps: one network or K at once.

A layer is one operation that takes time in pieces: the coefficients of a piece are computed together and stay in a
CPU's cache until its states and outputs, or on the way back its gradients, are there. Between the ways only the input
and the state before each piece are kept, the rest is computed again: memory does not grow with the states of all steps.
"""

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from recurrent_cells.models.cells import Cell, LinearCell, Weights
from recurrent_cells.models.routes.linear_scan import scan

# Numbers in the states of a piece: what stays in a CPU's cache, and what keeps a GPU busy.
PIECE = {"cpu": 1 << 17, "cuda": 1 << 25}

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
        weights = dict(zip(names, values, strict=True))
        outputs = values[0].new_empty(*x.shape[:-1], hidden_size)
        end: Tensor | None = None
        kept: list[tuple[slice, Tensor | None]] = []
        for steps in _pieces(x, cell.state_size(hidden_size), reverse):
            kept.append((steps, end))
            piece = _Piece(cell, x[..., steps, :, :], weights, end, reverse)
            outputs[..., steps, :, :] = piece.outputs(piece.states, piece.inputs)
            end = _last(piece.states, reverse).clone()
        ctx.save_for_backward(x, *values)
        ctx.kept = cell, reverse, names, kept, _autocast(x)
        return outputs, _last(outputs, reverse).clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_outputs: Tensor | None, d_last: Tensor | None) -> tuple[Tensor | None, ...]:
        x, *values = ctx.saved_tensors
        cell, reverse, names, kept, autocast = ctx.kept
        needs_x, *needed = ctx.needs_input_grad[4:]
        leaves = [it.detach().requires_grad_(wanted) for it, wanted in zip(values, needed, strict=True)]
        weights = dict(zip(names, leaves, strict=True))
        d_x = torch.zeros_like(x) if needs_x else None
        totals: Gradients = [None] * len(leaves)
        d_end: Tensor | None = None
        for steps, start in reversed(kept):
            of_steps = x[..., steps, :, :].detach().requires_grad_(needs_x)
            d_piece = None if d_outputs is None else d_outputs[..., steps, :, :]
            with torch.enable_grad(), autocast:
                piece = _Piece(cell, of_steps, weights, start, reverse)
                if d_last is not None:  # of the last step taken, in the first of these pieces
                    d_piece, d_last = piece.with_last(d_piece, d_last), None
                (d_steps, *gradients), d_end = piece.backward(d_piece, d_end, [of_steps, *leaves])
            if d_x is not None and d_steps is not None:
                d_x[..., steps, :, :] = d_steps
            totals = _sums(totals, gradients)
        return None, None, None, None, d_x, *totals


class _Piece:
    """Some steps (…, L, B, F) of a layer, and what follows from them and the state `start` (…, B, S) before.

    Made under autograd it records how coefficients follow from steps and weights, and `backward` goes through them.
    """

    def __init__(self, cell: LinearCell, x: Tensor, weights: Weights, start: Tensor | None, reverse: bool) -> None:
        self._cell, self._weights, self._start, self._reverse = cell, weights, start, reverse
        dtype = next(iter(weights.values())).dtype
        self.inputs = cell.inputs(x, weights).flatten(-3, -2).to(dtype)
        a, b = (it if it.is_complex() else it.to(dtype) for it in cell.coefficients(self.inputs, weights))
        self._a = a.unsqueeze(-3) if a.shape[-2] == 1 else a.unflatten(-2, x.shape[-3:-1])
        self._b = b.unflatten(-2, x.shape[-3:-1])
        with torch.no_grad():
            self._links = self._a if self._a.shape[-3] == 1 else _after_first(self._a, reverse)
            carried = None if start is None else _first(self._a, reverse) * start
            self.states = scan(self._links, self._b, carried, reverse)

    def outputs(self, states: Tensor, inputs: Tensor) -> Tensor:
        """(…, L, B, H) from the states (…, L, B, S) and the inputs (…, L·B, G·H)."""
        outputs = self._cell.outputs(states.flatten(-3, -2), inputs, self._weights)
        return outputs.unflatten(-2, states.shape[-3:-1]).to(inputs.dtype)

    def with_last(self, d_outputs: Tensor | None, d_last: Tensor) -> Tensor:
        """The gradient (…, L, B, H) of the outputs, to which that of the last step taken (…, B, H) is added."""
        if d_outputs is None:
            d_outputs = d_last.new_zeros(*self.states.shape[:-1], d_last.shape[-1])
        else:
            d_outputs = d_outputs.clone()
        _last(d_outputs, self._reverse).add_(d_last)
        return d_outputs

    def backward(
        self, d_outputs: Tensor | None, d_end: Tensor | None, leaves: list[Tensor]
    ) -> tuple[Gradients, Tensor]:
        """The gradients of `leaves`, the steps and then the weights, and what reaches the state before the first step.

        Args:
            d_outputs: (…, L, B, H); None is zero.
            d_end: (…, B, S), what reaches the state after the last step from later ones; None is zero.
        """
        d_states, ends = d_outputs, []
        gradients: Gradients = [None] * len(leaves)
        if d_outputs is not None and not self._cell.outputs_are_states:
            states, inputs = self.states.detach().requires_grad_(), self.inputs.detach().requires_grad_()
            outputs = self.outputs(states, inputs)
            d_states, d_inputs, *gradients[1:] = _gradients([(outputs, d_outputs)], [states, inputs, *leaves[1:]])
            if d_inputs is not None:
                ends.append((self.inputs, d_inputs))
        with torch.no_grad():
            if d_states is None:
                d_states = torch.zeros_like(self.states)
            d_b = scan(_conjugate(self._links), d_states, d_end, not self._reverse)
            d_a = (d_b * _conjugate(self._before())).sum_to_size(self._a.shape)
            d_start = _conjugate(_first(self._a, self._reverse)) * _first(d_b, self._reverse)
        ends += [(self._a, d_a), (self._b, d_b)]
        return _sums(gradients, _gradients(ends, leaves)), d_start

    def _before(self) -> Tensor:
        """The state before each step, (…, L, B, S)."""
        first = _first(torch.zeros_like(self.states), self._reverse) if self._start is None else self._start
        others = _after_first(self.states, not self._reverse)
        parts = [first.unsqueeze(-3), others]
        return torch.cat(parts[::-1] if self._reverse else parts, dim=-3)


def _pieces(x: Tensor, state_size: int, reverse: bool) -> list[slice]:
    """The steps of each piece of x (…, T, B, F), in the order in which pieces are taken."""
    numbers = math.prod(x.shape[:-3]) * x.shape[-2] * state_size
    size = max(1, PIECE[x.device.type] // max(1, numbers))
    pieces = [slice(start, min(start + size, x.shape[-3])) for start in range(0, x.shape[-3], size)]
    return pieces[::-1] if reverse else pieces


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
