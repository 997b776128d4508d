"""The layers of K networks of one shape as one: a leading dimension K on inputs, weights and outputs.

Each has the parameters of its counterpart in torch.nn by the same names, (K, …); whoever makes one sets them.
"""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from recurrent_cells.models.stacked.recurrences import RECURRENCES, Recurrence


class StackedLinear(nn.Module):
    """(K, …, in) → (K, …, out)."""

    weight: Tensor
    bias: Tensor

    def forward(self, x: Tensor) -> Tensor:
        products = torch.baddbmm(self.bias.unsqueeze(1), x.flatten(1, -2), self.weight.mT)
        return products.unflatten(1, x.shape[1:-1])


class StackedConv2d(nn.Module):
    """Padded 3×3 convolutions, (K, B, in, height, width) → (K, B, out, height, width), a group for each network."""

    weight: Tensor
    bias: Tensor

    def forward(self, x: Tensor) -> Tensor:
        networks, maps = self.weight.shape[:2]
        grouped = x.transpose(0, 1).flatten(1, 2)  # (B, K·in, height, width)
        convolved = F.conv2d(grouped, self.weight.flatten(0, 1), self.bias.flatten(), padding=1, groups=networks)
        return convolved.unflatten(1, (networks, maps)).transpose(0, 1)


class StackedDropout(nn.Module):
    """Dropout (K, …) with a probability for each network, drawn by a generator of its own.

    From generators seeded alike it drops what torch.nn drops on a CPU.
    """

    def __init__(self, probabilities: Sequence[float], generators: Sequence[torch.Generator]) -> None:
        super().__init__()
        self._probabilities, self._generators = probabilities, generators
        self.acts = any(probability > 0 for probability in probabilities)

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or not self.acts:
            return x
        return torch.stack(
            [
                kept if p == 0 else kept * torch.empty_like(kept).bernoulli_(1 - p, generator=generator).div_(1 - p)
                for kept, p, generator in zip(x, self._probabilities, self._generators, strict=True)
            ]
        )


class StackedRecurrent(nn.Module):
    """Stacked recurrent layers: (K, B, T, F) → (K, B, T, D·H), and the last states h (L·D, K, B, H)."""

    def __init__(self, like: nn.RNNBase, dropout: StackedDropout) -> None:
        super().__init__()
        self.num_layers, self.bidirectional = like.num_layers, like.bidirectional
        self.cell = next(cell for layer, cell in RECURRENCES.items() if isinstance(like, layer))
        self.dropout = dropout

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = x.transpose(1, 2)
        last = []
        for layer in range(self.num_layers):
            if layer > 0:
                x = self.dropout(x)
            outputs = []
            for direction in ("", "_reverse") if self.bidirectional else ("",):
                names = (f"{name}_l{layer}{direction}" for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"))
                weights = (getattr(self, name) for name in names)
                of_steps, of_last = _Layer.apply(x, *weights, self.cell, direction != "")
                outputs.append(of_steps)
                last.append(of_last)
            x = torch.cat(outputs, dim=-1) if len(outputs) > 1 else outputs[0]
        return x.transpose(1, 2), torch.stack(last)


class _Layer(torch.autograd.Function):
    """One layer and direction: (K, T, B, F) → (K, T, B, H), and the last state (K, B, H).

    Products are in autocast's type, all else in the weights'.
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
        ctx.set_materialize_grads(False)  # who reads the last state alone has no gradients of all steps
        kind = x.device.type
        low = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else weight_ih.dtype
        with torch.autocast(kind, enabled=False):
            times = _Times(low, weight_ih.dtype)
            inputs = x.flatten(1, 2)
            gates = times(inputs, weight_ih.mT).unflatten(1, x.shape[1:3])
            gates += bias_ih[:, None, None]
            recurrence = cell(weight_hh, bias_hh, reverse, times)
            outputs = recurrence.forward(gates)
        ctx.save_for_backward(weight_ih)
        ctx.kept = recurrence, times, inputs, outputs, reverse
        return outputs, outputs[:, 0 if reverse else -1].clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_outputs: Tensor | None, d_last: Tensor | None) -> tuple[Tensor | None, ...]:
        (weight_ih,) = ctx.saved_tensors
        (recurrence, times, inputs, outputs, reverse), ctx.kept = ctx.kept, None
        d_h = torch.zeros_like(outputs[:, 0]) if d_last is None else d_last
        d_gates, d_products = recurrence.backward(d_outputs, d_h)
        flat = d_gates.flatten(1, 2)
        now, before = (slice(0, -1), slice(1, None)) if reverse else (slice(1, None), slice(0, -1))
        d_recurrent = times(d_products[:, now].flatten(1, 2).mT, outputs[:, before].flatten(1, 2))
        d_x = times(flat, weight_ih).unflatten(1, outputs.shape[1:3]) if ctx.needs_input_grad[0] else None
        d_bias = flat.sum(dim=1)
        d_bias_hh = d_bias if d_products is d_gates else d_products.flatten(1, 2).sum(dim=1)
        return d_x, times(flat.mT, inputs), d_recurrent, d_bias, d_bias_hh, None, None


class _Times:
    """Batched products in one type, given back in another."""

    def __init__(self, low: torch.dtype, high: torch.dtype) -> None:
        self._low, self._high = low, high

    def __call__(self, a: Tensor, b: Tensor) -> Tensor:
        return torch.bmm(a.to(self._low), b.to(self._low)).to(self._high)
