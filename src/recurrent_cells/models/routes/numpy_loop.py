"""One network on a CPU in NumPy, by the steps that the cell has written by hand.

torch.nn records every operation of every step for autograd, forms weight gradients step by step, and has a slow tanh.
Here a layer is one operation: the input's part of all steps is one product, so is each weight's gradient, and the
steps are NumPy calls on memory that stays in the cache.
"""

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.autograd.function import once_differentiable

from recurrent_cells.models.cells import Cell, Steps, Weights
from recurrent_cells.models.routes.by_hand import Pass

if TYPE_CHECKING:
    from recurrent_cells.models.layers import RecurrentLayers

Array = NDArray[np.floating[Any]]


def fits(layers: "RecurrentLayers", x: Tensor, lengths: Tensor | None) -> bool:
    return (
        x.dim() == 3
        and x.shape[1] > 1  # nothing to gain over one step
        and x.device.type == "cpu"
        and x.dtype == layers.weight_hh_l0.dtype
        and x.dtype in (torch.float32, torch.float64)
        and not torch.is_autocast_enabled("cpu")
        and not torch.compiler.is_compiling()
        and not torch.jit.is_tracing()
    )


def layer(cell: Cell, x: Tensor, weights: Weights, hidden_size: int, reverse: bool) -> tuple[Tensor, Tensor]:
    outputs, last = _Layer.apply(cell.by_hand, reverse, x, *weights.values())
    return outputs, last


class _Layer(torch.autograd.Function):
    """One layer in one direction: (T, B, F) → (T, B, H), and the state after its last step (B, H).

    Gradients of all steps cost time and memory: where only the last state is read there are none.
    """

    @staticmethod
    def forward(ctx: Any, steps: type[Steps], reverse: bool, x: Tensor, *weights: Tensor) -> tuple[Tensor, Tensor]:
        ctx.set_materialize_grads(False)
        weight_ih, weight_hh, bias_ih, bias_hh = weights
        (count, batch, features), hidden = x.shape, weight_hh.shape[1]
        gates, apart = steps.num_gates, steps.num_apart
        joint = gates - apart
        bias_recurrent = bias_hh.numpy().reshape(gates, hidden)
        # A column of ones carries the bias, and in the backward pass its gradient.
        inputs = np.empty((count, batch, features + 1), bias_recurrent.dtype)
        inputs[..., :features], inputs[..., features] = x.numpy(), 1
        inputs = inputs.reshape(count * batch, features + 1)
        weight = np.empty((gates, hidden, features + 1), inputs.dtype)
        weight[..., :features] = weight_ih.numpy().reshape(gates, hidden, features)
        bias = bias_ih.numpy().reshape(gates, hidden).copy()
        bias[:joint] += bias_recurrent[:joint]
        weight[..., features] = bias
        recurrent = _apart_first(weight_hh.numpy().reshape(gates, hidden, hidden), apart)
        halved = recurrent.copy()
        for gate in steps.sigmoids:
            weight[gate] *= 0.5
            halved[(gate + apart) % gates] *= 0.5
        transposed = halved.transpose(0, 2, 1)
        planes = np.empty((apart + gates, count, batch, hidden), inputs.dtype)
        saved = np.empty((steps.num_saved, count, batch, hidden), inputs.dtype)
        products, bias_apart = np.empty_like(planes[:gates, 0]), bias_recurrent[joint:, None]

        def add_products(planes: Array, h: Array | None) -> None:
            if h is None:
                planes[:apart] = bias_apart
                return
            np.matmul(h, transposed, out=products)
            if apart:
                np.add(products[:apart], bias_apart, out=planes[:apart])
                planes[apart:gates] += products[apart:]
            else:
                planes += products

        with np.errstate(all="ignore"):  # a diverging trial is told by its loss
            to_gates = planes[apart:].reshape(gates, count * batch, hidden)
            np.matmul(inputs, weight.transpose(0, 2, 1), out=to_gates)
            of_states = list(zip(*(_in_order(state, reverse) for state in saved), strict=True))
            steps_taken = Pass(steps, ARRAYS, _in_order(planes, reverse), of_states)
            steps_taken.forward(add_products)
        ctx.save_for_backward(weight_ih, weight_hh)  # so that autograd notices if they are changed before backward
        ctx.kept = steps_taken, planes, saved, recurrent, products, inputs, reverse
        return torch.from_numpy(saved[0]), torch.from_numpy(saved[0, 0 if reverse else -1].copy())

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_outputs: Tensor | None, d_last: Tensor | None) -> tuple[Tensor | None, ...]:
        weight_ih, _ = ctx.saved_tensors
        if ctx.kept is None:
            raise RuntimeError("these layers cannot go backward twice; model.kernel=torch can")
        (steps_taken, planes, saved, recurrent, products, inputs, reverse), ctx.kept = ctx.kept, None
        (_, count, batch, hidden), features = planes.shape, inputs.shape[1] - 1
        gates, apart = len(products), len(planes) - len(products)
        places = [(gate + apart) % gates for gate in range(gates)]  # of products by gate, those apart come first
        first, *others = (products[place] for place in places)

        def back(after: Array, d_h: Array | None) -> Array:
            np.matmul(after[:gates] if apart else after, recurrent, out=products)
            d_h = first if d_h is None else np.add(d_h, first, out=d_h)
            for product in others:
                d_h += product
            return d_h

        with np.errstate(all="ignore"):
            d_h = np.zeros_like(products[0]) if d_last is None else np.array(d_last.numpy(), order="C")
            d_steps = None if d_outputs is None else _in_order(d_outputs.numpy(), reverse)
            steps_taken.steps.slopes(ARRAYS, planes, saved)
            steps_taken.backward(d_steps, d_h, back)
            d_gates = planes[apart:].reshape(gates, count * batch, hidden)
            d_weight = np.matmul(inputs.T, d_gates)  # a quarter faster than its transpose
            d_bias = d_weight[:, features]
            d_bias_hh = d_bias.copy()
            if apart:
                d_bias_hh[gates - apart :] = planes[:apart].reshape(apart, count * batch, hidden).sum(axis=1)
            now, before = (slice(0, -1), slice(1, None)) if reverse else (slice(1, None), slice(0, -1))
            states = saved[0, before].reshape(-1, hidden)
            d_recurrent = np.stack([planes[place, now].reshape(-1, hidden).T @ states for place in places])
            d_x = None
            if ctx.needs_input_grad[2]:
                weight = weight_ih.numpy().reshape(gates, hidden, features)
                d_x = np.matmul(d_gates[0], weight[0])
                for gate in range(1, gates):
                    d_x += np.matmul(d_gates[gate], weight[gate])
                d_x = torch.from_numpy(d_x.reshape(count, batch, features))
        d_weight_ih = d_weight[:, :features].transpose(0, 2, 1).reshape(gates * hidden, features)
        by_weight = d_weight_ih, d_recurrent.reshape(gates * hidden, hidden), d_bias.reshape(-1), d_bias_hh.reshape(-1)
        return None, None, d_x, *map(torch.from_numpy, by_weight)


def _sigmoid(halves: Array) -> None:
    """sigmoid(x) from x / 2 in place, as (1 + tanh(x / 2)) / 2: NumPy's tanh is the fast one."""
    np.tanh(halves, out=halves)
    halves *= 0.5
    halves += 0.5


ARRAYS = SimpleNamespace(
    multiply=np.multiply, subtract=np.subtract, tanh=np.tanh, one=1, sigmoid=_sigmoid, zeros=np.zeros_like
)


def _apart_first(gates: Array, apart: int) -> Array:
    return np.concatenate((gates[-apart:], gates[:-apart])) if apart else gates


def _in_order(planes: Array, reverse: bool) -> list[Array]:
    """The steps (…, B, H) of planes (…, T, B, H) in the order in which they are taken."""
    steps = list(planes.swapaxes(0, -3))
    return steps[::-1] if reverse else steps
