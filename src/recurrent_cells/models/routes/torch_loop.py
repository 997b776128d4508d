"""K networks at once in torch, by the steps that the cell has written by hand."""

from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from recurrent_cells.models.cells import Cell, Steps, Weights
from recurrent_cells.models.routes.by_hand import Pass


def fits(layers: nn.Module, x: Tensor, lengths: Tensor | None) -> bool:
    return x.dim() == 4 and not torch.compiler.is_compiling()


def layer(cell: Cell, x: Tensor, weights: Weights, hidden_size: int, reverse: bool) -> tuple[Tensor, Tensor]:
    outputs, last = _Layer.apply(cell.by_hand, reverse, x, *weights.values())
    return outputs, last


class _Layer(torch.autograd.Function):
    """One layer in one direction: (K, T, B, F) → (K, T, B, H), and the last state (K, B, H).

    Products are in autocast's type, all else in the weights'. Planes lie beside one another in the last dimension.
    """

    @staticmethod
    def forward(ctx: Any, steps: type[Steps], reverse: bool, x: Tensor, *weights: Tensor) -> tuple[Tensor, Tensor]:
        ctx.set_materialize_grads(False)  # where only the last state is read there are no gradients of all steps
        weight_ih, weight_hh, bias_ih, bias_hh = weights
        kind, hidden = x.device.type, weight_hh.shape[2]
        low = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else weight_ih.dtype
        apart, joint = steps.num_apart * hidden, (steps.num_gates - steps.num_apart) * hidden
        bias = bias_ih.clone()
        bias[:, :joint] += bias_hh[:, :joint]
        with torch.autocast(kind, enabled=False):

            def times(a: Tensor, b: Tensor) -> Tensor:
                return torch.bmm(a.to(low), b.to(low)).to(weight_ih.dtype)

            inputs = x.flatten(1, 2)
            planes = bias.new_empty(*x.shape[:3], apart + bias.shape[1])
            to_gates = times(inputs, weight_ih.mT).unflatten(1, x.shape[1:3])
            torch.add(to_gates, bias[:, None, None], out=planes[..., apart:])
            saved = bias.new_empty(steps.num_saved, *x.shape[:3], hidden)
            recurrent = weight_hh.roll(apart, dims=1).to(low) if apart else weight_hh.to(low)
            by_step = _in_order(planes.unflatten(-1, (-1, hidden)).movedim(-2, 0), reverse)
            of_states = list(zip(*(_in_order(state, reverse) for state in saved), strict=True))
            steps_taken = Pass(steps, ARRAYS, by_step, of_states)
            steps_taken.forward(
                bias_hh[:, joint:].unflatten(1, (steps.num_apart, 1, hidden)).movedim(1, 0),
                lambda h: times(h, recurrent.mT).unflatten(-1, (-1, hidden)).movedim(-2, 0),
            )
        ctx.save_for_backward(weight_ih)
        ctx.kept = steps_taken, planes, saved, recurrent, inputs, times, reverse
        return saved[0], saved[0, :, 0 if reverse else -1].clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_outputs: Tensor | None, d_last: Tensor | None) -> tuple[Tensor | None, ...]:
        (weight_ih,) = ctx.saved_tensors
        (steps_taken, planes, saved, recurrent, inputs, times, reverse), ctx.kept = ctx.kept, None
        outputs, hidden = saved[0], saved.shape[-1]
        gates, apart = steps_taken.steps.num_gates, steps_taken.steps.num_apart * hidden

        def back(after: Tensor, d_h: Tensor | None) -> Tensor:
            product = times(after[:gates].movedim(0, -2).flatten(-2), recurrent)
            return product if d_h is None else d_h.add_(product)

        d_h = torch.zeros_like(outputs[:, 0]) if d_last is None else d_last.clone()
        steps_taken.steps.slopes(ARRAYS, planes.unflatten(-1, (-1, hidden)).movedim(-2, 0), saved)
        steps_taken.backward(None if d_outputs is None else _in_order(d_outputs, reverse), d_h, back)
        flat = planes.flatten(1, 2)
        d_gates, d_products = flat[..., apart:], planes[..., : gates * hidden]
        now, before = (slice(0, -1), slice(1, None)) if reverse else (slice(1, None), slice(0, -1))
        d_recurrent = times(d_products[:, now].flatten(1, 2).mT, outputs[:, before].flatten(1, 2))
        d_x = times(d_gates, weight_ih).unflatten(1, outputs.shape[1:3]) if ctx.needs_input_grad[2] else None
        d_bias = flat.sum(dim=1)
        d_bias_hh = d_bias[:, : gates * hidden]
        if apart:
            d_recurrent, d_bias_hh = d_recurrent.roll(-apart, dims=1), d_bias_hh.roll(-apart, dims=1)
        return None, None, d_x, times(d_gates.mT, inputs), d_recurrent, d_bias[:, apart:], d_bias_hh


ARRAYS = SimpleNamespace(
    add=torch.add,
    multiply=torch.multiply,
    subtract=torch.subtract,
    tanh=torch.tanh,
    one=torch.tensor(1.0),
    sigmoid=torch.sigmoid_,
    zeros=torch.zeros_like,
)


def _in_order(planes: Tensor, reverse: bool) -> list[Tensor]:
    """The steps (…, K, B, H) of planes (…, K, T, B, H) in the order in which they are taken."""
    steps = list(planes.unbind(-3))
    return steps[::-1] if reverse else steps
