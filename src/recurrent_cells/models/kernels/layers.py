"""SimpleRNN and GRU on a CPU, faster than torch.nn's and with its weights, results and gradients.

torch.nn records every operation of every step for autograd, forms weight gradients step by step, and has a slow tanh.
Here a layer is one operation: the input's part of all steps is one product, so is each weight's gradient, and the
steps are NumPy calls on memory that stays in the cache.
"""

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.utils.rnn import PackedSequence

from recurrent_cells.models.kernels.recurrences import GRU, Recurrence, SimpleRNN


class FastRNN(nn.RNN):
    """torch.nn.RNN; what it cannot do faster it leaves to it."""

    def forward(self, input: Any, hx: Any = None) -> Any:  # noqa: A002 - the name torch.nn gave it
        if self.nonlinearity == "tanh" and _fits(self, input, hx):
            return _layers(self, input, SimpleRNN)
        return super().forward(input, hx)


class FastGRU(nn.GRU):
    """torch.nn.GRU; what it cannot do faster it leaves to it."""

    def forward(self, input: Any, hx: Any = None) -> Any:  # noqa: A002 - the name torch.nn gave it
        if _fits(self, input, hx):
            return _layers(self, input, GRU)
        return super().forward(input, hx)


def _fits(module: nn.RNNBase, x: Tensor | PackedSequence, hx: Tensor | None) -> bool:
    return (
        hx is None
        and isinstance(x, Tensor)
        and x.dim() == 3
        and x.shape[1] > 1  # nothing to gain over one step
        and x.device.type == "cpu"
        and x.dtype == module.weight_hh_l0.dtype
        and x.dtype in (torch.float32, torch.float64)
        and module.batch_first
        and module.bias
        and not torch.is_autocast_enabled("cpu")
        and not torch.compiler.is_compiling()
        and not torch.jit.is_tracing()
    )


def _layers(module: nn.RNNBase, x: Tensor, cell: type[Recurrence]) -> tuple[Tensor, Tensor]:
    """As the module's forward: x (B, T, F) → outputs (B, T, D·H), last states (L·D, B, H)."""
    x = x.transpose(0, 1)
    last = []
    for layer in range(module.num_layers):
        if layer > 0 and module.dropout > 0:
            x = F.dropout(x, module.dropout, module.training)
        outputs = []
        for direction in ("", "_reverse") if module.bidirectional else ("",):
            names = (f"{name}_l{layer}{direction}" for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"))
            weights = (getattr(module, name) for name in names)
            of_steps, of_last = _Layer.apply(x, *weights, cell, direction != "")
            outputs.append(of_steps)
            last.append(of_last)
        x = torch.cat(outputs, dim=2) if len(outputs) > 1 else outputs[0]
    return x.transpose(0, 1), torch.stack(last)


class _Layer(torch.autograd.Function):
    """One layer in one direction: (T, B, F) → (T, B, H), and the state after its last step (B, H).

    Gradients of all steps cost time and memory: whoever reads the last state alone has none.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight_ih: Tensor,
        weight_hh: Tensor,
        bias_ih: Tensor,
        bias_hh: Tensor,
        cell: type[Recurrence],
        reverse: bool,
    ) -> tuple[Tensor, Tensor]:
        ctx.set_materialize_grads(False)
        (steps, batch, features), hidden = x.shape, weight_hh.shape[1]
        gates = cell.num_gates
        bias, bias_recurrent = bias_ih.numpy().reshape(gates, hidden), bias_hh.numpy().reshape(gates, hidden)
        recurrent = weight_hh.numpy().reshape(gates, hidden, hidden)
        # A column of ones carries the bias, and in the backward pass its gradient.
        inputs = np.empty((steps, batch, features + 1), recurrent.dtype)
        inputs[..., :features], inputs[..., features] = x.numpy(), 1
        weight = np.empty((gates, hidden, features + 1), recurrent.dtype)
        weight[..., :features], weight[..., features] = weight_ih.numpy().reshape(gates, hidden, features), bias
        weight[cell.joint_bias, :, features] += bias_recurrent[cell.joint_bias]
        recurrent_halved = recurrent.copy()
        weight[cell.sigmoids] *= 0.5
        recurrent_halved[cell.sigmoids] *= 0.5
        inputs = inputs.reshape(steps * batch, features + 1)
        with np.errstate(all="ignore"):  # a diverging trial is told by its loss
            to_gates = np.matmul(inputs, weight.transpose(0, 2, 1)).reshape(gates, steps, batch, hidden)
            recurrence = cell(recurrent, bias_recurrent, reverse)
            outputs = recurrence.forward(to_gates, recurrent_halved)
        ctx.save_for_backward(weight_ih, weight_hh)  # so that autograd notices if they are changed before backward
        ctx.kept = recurrence, inputs, outputs, reverse
        return torch.from_numpy(outputs), torch.from_numpy(outputs[0 if reverse else -1].copy())

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_outputs: Tensor | None, d_last: Tensor | None) -> tuple[Tensor | None, ...]:
        weight_ih, _ = ctx.saved_tensors
        if ctx.kept is None:
            raise RuntimeError("these layers cannot go backward twice; model.kernel=torch can")
        (recurrence, inputs, outputs, reverse), ctx.kept = ctx.kept, None
        (steps, batch, hidden), gates = outputs.shape, recurrence.num_gates
        features = inputs.shape[1] - 1
        with np.errstate(all="ignore"):
            d_h = np.zeros_like(outputs[0]) if d_last is None else np.array(d_last.numpy(), order="C")
            d_inputs, d_products = recurrence.backward(None if d_outputs is None else d_outputs.numpy(), d_h)
            d_gates = d_inputs.reshape(gates, steps * batch, hidden)
            d_weight = np.matmul(inputs.T, d_gates)  # a quarter faster than its transpose
            now, before = (slice(0, -1), slice(1, None)) if reverse else (slice(1, None), slice(0, -1))
            states = outputs[before].reshape(-1, hidden)
            d_recurrent = np.stack([product[now].reshape(-1, hidden).T @ states for product in d_products])
            d_bias = d_weight[:, features]
            d_bias_hh = d_bias.copy()
            for gate in range(recurrence.joint_bias.stop, gates):
                d_bias_hh[gate] = d_products[gate].reshape(-1, hidden).sum(axis=0)
            d_x = None
            if ctx.needs_input_grad[0]:
                weight = weight_ih.numpy().reshape(gates, hidden, features)
                d_x = np.matmul(d_gates[0], weight[0])
                for gate in range(1, gates):
                    d_x += np.matmul(d_gates[gate], weight[gate])
                d_x = torch.from_numpy(d_x.reshape(steps, batch, features))
        return (
            d_x,
            torch.from_numpy(d_weight[:, :features].transpose(0, 2, 1).reshape(gates * hidden, features)),
            torch.from_numpy(d_recurrent.reshape(gates * hidden, hidden)),
            torch.from_numpy(d_bias.reshape(-1)),
            torch.from_numpy(d_bias_hh.reshape(-1)),
            None,
            None,
        )
