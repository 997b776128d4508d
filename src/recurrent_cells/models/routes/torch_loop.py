"""K networks at once in torch, by the steps that the cell has written by hand."""

from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.functional import pad

from recurrent_cells.models.cells import Cell, Steps, Weights
from recurrent_cells.models.routes.by_hand import Pass


def fits(layers: nn.Module, x: Tensor, lengths: Tensor | None) -> bool:
    return x.dim() == 4 and not torch.compiler.is_compiling()


def layer(cell: Cell, x: Tensor, weights: Weights, hidden_size: int, reverse: bool) -> tuple[Tensor, Tensor]:
    outputs, last = _Layer.apply(cell.by_hand, reverse, x, *weights.values())
    return outputs, last


# Columns are filled up to a multiple of so many: vectors of 16 bytes are fast on a GPU.
ALIGNED = 4


class _Layer(torch.autograd.Function):
    """One layer in one direction: (K, T, B, F) → (K, T, B, H), and the last state (K, B, H).

    Products are in autocast's type on a CPU, all else in the weights'. Planes lie beside one another in the last
    dimension. On a GPU a step is one piece of memory, in the order (T, B, K), whose parts cuBLAS still takes as they
    are: each network's for a step, and all steps' for a network.
    """

    @staticmethod
    def forward(ctx: Any, steps: type[Steps], reverse: bool, x: Tensor, *weights: Tensor) -> tuple[Tensor, Tensor]:
        ctx.set_materialize_grads(False)  # where only the last state is read there are no gradients of all steps
        weight_ih, weight_hh, bias_ih, bias_hh = weights
        hidden, low = weight_hh.shape[2], weight_ih.dtype
        if x.device.type == "cpu" and torch.is_autocast_enabled("cpu"):  # off on a GPU
            low = torch.get_autocast_dtype("cpu")
        apart, joint = steps.num_apart * hidden, (steps.num_gates - steps.num_apart) * hidden
        with torch.autocast("cpu", enabled=False):
            bias = bias_ih.clone()
            bias[:, :joint] += bias_hh[:, :joint]
            inputs, weight = with_biases(x, weight_ih, bias)
            if apart:
                _, of_products = with_biases(x, torch.zeros_like(weight_ih[:, joint:]), bias_hh[:, joint:])
                weight = torch.cat((of_products, weight), dim=1)
            inputs = inputs.flatten(1, 2).to(low)
            recurrent = (weight_hh.roll(apart, dims=1) if apart else weight_hh).to(low)
            planes, *saved = (
                _new(x, weight_ih.dtype, width) for width in (weight.shape[1], *[hidden] * steps.num_saved)
            )
            _multiply(inputs, weight.to(low).mT, planes.flatten(1, 2))
            by_step = _in_order(planes.unflatten(-1, (-1, hidden)).movedim(-2, 0), reverse)
            of_states = list(zip(*(_in_order(state, reverse) for state in saved), strict=True))
            steps_taken = Pass(steps, ARRAYS, by_step, of_states)

            def add_products(planes: Tensor, h: Tensor | None) -> None:
                if h is not None:
                    _multiply(h.to(low), recurrent.mT, _beside(planes[: steps.num_gates]), add=True)

            steps_taken.forward(add_products)
        ctx.save_for_backward(weight_ih)
        ctx.kept = steps_taken, planes, saved[0], recurrent, inputs, reverse
        return saved[0], saved[0][:, 0 if reverse else -1].clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_outputs: Tensor | None, d_last: Tensor | None) -> tuple[Tensor | None, ...]:
        (weight_ih,) = ctx.saved_tensors
        (steps_taken, planes, outputs, recurrent, inputs, reverse), ctx.kept = ctx.kept, None
        hidden, features, low = outputs.shape[-1], weight_ih.shape[-1], recurrent.dtype
        gates, apart = steps_taken.steps.num_gates, steps_taken.steps.num_apart * hidden
        d_h = torch.zeros_like(outputs[:, 0])
        if d_last is not None:
            d_h.copy_(d_last)

        def back(after: Tensor, kept: Tensor | None) -> Tensor:
            return _multiply(
                _beside(after[:gates]).to(low), recurrent, d_h if kept is None else kept, add=kept is not None
            )

        by_gate = planes.unflatten(-1, (-1, hidden)).movedim(-2, 0)
        steps_taken.steps.slopes(ARRAYS, by_gate, outputs.unsqueeze(0))
        steps_taken.backward(None if d_outputs is None else _in_order(d_outputs, reverse), d_h, back)
        low_planes = planes.to(low)
        now, before = (slice(0, -1), slice(1, None)) if reverse else (slice(1, None), slice(0, -1))
        d_products = low_planes[:, now, :, : gates * hidden].flatten(1, 2)
        d_recurrent = torch.bmm(d_products.mT, outputs[:, before].flatten(1, 2).to(low)).to(weight_ih.dtype)
        d_weight = torch.bmm(low_planes.flatten(1, 2).mT, inputs).to(weight_ih.dtype)
        d_x = None
        if ctx.needs_input_grad[2]:
            d_gates = low_planes[..., apart:].flatten(1, 2)
            d_x = torch.bmm(d_gates, weight_ih.to(low)).to(weight_ih.dtype).unflatten(1, outputs.shape[1:3])
        d_bias = d_weight[..., features]
        d_bias_hh = d_bias[:, : gates * hidden]
        if apart:
            d_recurrent, d_bias_hh = d_recurrent.roll(-apart, dims=1), d_bias_hh.roll(-apart, dims=1)
        return None, None, d_x, d_weight[:, apart:, :features], d_recurrent, d_bias[:, apart:], d_bias_hh


ARRAYS = SimpleNamespace(
    multiply=torch.multiply,
    subtract=torch.subtract,
    tanh=torch.tanh,
    one=torch.tensor(1.0),
    sigmoid=torch.sigmoid_,
    zeros=torch.zeros_like,
)


def with_biases(x: Tensor, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    """Inputs (…, F + 1 or more) and weights (K, G·H, as many) whose product has the biases (K, G·H) in it.

    The first column after the inputs is of ones; in the backward pass it gives the gradients of the biases.
    """
    more = ALIGNED - weight.shape[-1] % ALIGNED
    return pad(x, (0, more), value=1.0), pad(torch.cat((weight, bias.unsqueeze(-1)), dim=-1), (0, more - 1))


def on_gpu(x: Tensor) -> bool:
    return x.device.type == "cuda"


def _new(x: Tensor, dtype: torch.dtype, width: int) -> Tensor:
    """Memory (K, T, B, width) for all steps of x (K, T, B, F)."""
    networks, steps, batch, _ = x.shape
    if not on_gpu(x):
        return x.new_empty(networks, steps, batch, width, dtype=dtype)
    return x.new_empty(steps, batch, networks, width, dtype=dtype).permute(2, 0, 1, 3)


def _beside(planes: Tensor) -> Tensor:
    """Planes (G, K, B, H) of a step as they lie in memory, (K, B, G·H)."""
    return planes.movedim(0, -2).flatten(-2)


def _multiply(a: Tensor, b: Tensor, out: Tensor, add: bool = False) -> Tensor:
    """Write the products of matrices into `out`, or add them to what is there."""
    if on_gpu(a):
        return out.baddbmm_(a, b) if add else torch.bmm(a, b, out=out)
    products = torch.bmm(a, b)  # into a piece of memory of its own: the same bits for any number of networks
    return out.add_(products) if add else out.copy_(products)


def _in_order(planes: Tensor, reverse: bool) -> list[Tensor]:
    """The steps (…, K, B, H) of planes (…, K, T, B, H) in the order in which they are taken."""
    steps = list(planes.unbind(-3))
    return steps[::-1] if reverse else steps
