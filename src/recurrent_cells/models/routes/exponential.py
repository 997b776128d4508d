"""The sLSTM with a backward pass written by hand: what steps share is done for all of them at once.

Each gate is a plane of its own, so that a step works on whole pieces of memory.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from recurrent_cells.models.cells import Weights
from recurrent_cells.models.cells.slstm import SLSTM
from recurrent_cells.models.routes import linear

if TYPE_CHECKING:
    from recurrent_cells.models.layers import RecurrentLayers

GATES = 4


def fits(layers: "RecurrentLayers", x: Tensor, lengths: Tensor | None) -> bool:
    """Autocast would lower the precision of the state."""
    can_loop = linear.fits(layers, x, lengths)
    return can_loop and isinstance(layers.cell, SLSTM) and not torch.is_autocast_enabled(x.device.type)


def layer(cell: SLSTM, x: Tensor, weights: Weights, hidden_size: int, reverse: bool) -> tuple[Tensor, Tensor]:
    """(…, T, B, F) → (…, T, B, H), and the output of the last step taken (…, B, H)."""
    bias = F.pad(weights["bias_ih"], (hidden_size, 0))
    parts = [x, weights["weight_ih"], bias, weights["weight_hh"]]
    if x.dim() == 3:
        parts = [it.unsqueeze(0) for it in parts]
    outputs = _Layer.apply(cell.settings["forget_gate"] == "sigmoid", reverse, *parts)
    outputs = outputs if x.dim() == 4 else outputs.squeeze(0)
    return outputs, outputs[..., 0 if reverse else -1, :, :]


class _Layer(torch.autograd.Function):
    """x (K, T, B, F), W (K, 4 H, F), b (K, 4 H), U (K, heads, 4 H/heads, H/heads) → h (K, T, B, H)."""

    @staticmethod
    def forward(
        ctx: Any, is_sigmoid: bool, reverse: bool, x: Tensor, weight_ih: Tensor, bias: Tensor, blocks: Tensor
    ) -> Tensor:
        rows = x.flatten(1, 2)
        by_gate = zip(weight_ih.chunk(GATES, dim=1), bias.unsqueeze(1).chunk(GATES, dim=2), strict=True)
        gates = [torch.baddbmm(b, rows, weight.mT).unflatten(1, x.shape[1:3]) for weight, b in by_gate]
        h, c, n, decay = (torch.empty_like(gates[0]) for _ in range(4))
        before: tuple[Tensor, ...] | None = None
        m = torch.full_like(h[:, 0], -torch.inf)
        for i, f, z, o, of_h, of_c, of_n, of_f in _steps(not reverse, *gates, h, c, n, decay):
            if before is not None:
                for gate, product in zip((i, f, z, o), _products(before[0], blocks), strict=True):
                    gate.add_(product)
            log_f = (F.logsigmoid(f) if is_sigmoid else f) + m
            m = torch.maximum(log_f, i)
            i.sub_(m).exp_()
            torch.sub(log_f, m, out=of_f).exp_()
            torch.mul(i, z.tanh_(), out=of_c)
            of_n.copy_(i)
            if before is not None:
                of_c.addcmul_(of_f, before[1])
                of_n.addcmul_(of_f, before[2])
            torch.mul(o.sigmoid_(), of_c, out=of_h).div_(of_n)
            before = of_h, of_c, of_n
        ctx.save_for_backward(x, weight_ih, blocks)
        ctx.kept = is_sigmoid, reverse, gates, h, c, n, decay
        return h

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_outputs: Tensor) -> tuple[Tensor | None, ...]:
        x, weight_ih, blocks = ctx.saved_tensors
        if ctx.kept is None:
            raise RuntimeError("these layers cannot go backward twice; model.kernel=reference can")
        (is_sigmoid, reverse, gates, h, c, n, decay), ctx.kept = ctx.kept, None
        _backward(is_sigmoid, reverse, d_outputs, blocks, gates, h, c, n, decay)
        now, before = (slice(0, -1), slice(1, None)) if reverse else (slice(1, None), slice(0, -1))
        states = _by_head(h[:, before].flatten(1, 2), blocks.shape[1])
        to_blocks = [_by_head(gate[:, now].flatten(1, 2), blocks.shape[1]).mT @ states for gate in gates]
        rows, of_rows = x.flatten(1, 2), [gate.flatten(1, 2) for gate in gates]
        d_x = None
        if ctx.needs_input_grad[2]:
            d_x = torch.zeros_like(rows)
            for gate, weight in zip(of_rows, weight_ih.chunk(GATES, dim=1), strict=True):
                d_x.baddbmm_(gate, weight)
            d_x = d_x.unflatten(1, x.shape[1:3])
        d_weight = torch.cat([torch.bmm(gate.mT, rows) for gate in of_rows], dim=1)
        d_bias = torch.cat([gate.sum(dim=1) for gate in of_rows], dim=1)
        return None, None, d_x, d_weight, d_bias, torch.cat(to_blocks, dim=-2)


def _backward(
    is_sigmoid: bool,
    reverse: bool,
    d_outputs: Tensor,
    blocks: Tensor,
    gates: Sequence[Tensor],
    h: Tensor,
    c: Tensor,
    n: Tensor,
    decay: Tensor,
) -> None:
    """Turn the gates of all steps into the gradients of their inputs, in place."""
    i, f, z, o = gates
    of_o, of_ratio = h * (1 - o), o / n
    of_f = f.neg().sigmoid_().mul_(decay) if is_sigmoid else decay
    of_z = i * (1 - z * z)
    order = list(_steps(reverse, d_outputs, *gates, c / n, of_o, of_ratio, of_f, of_z, decay, c, n))
    d_h, d_c, d_n = (torch.zeros_like(h[:, 0]) for _ in range(3))
    d_gates = h.new_empty(len(h), *blocks.shape[1:2], h.shape[2], blocks.shape[2])
    for place, (d_output, i, f, z, o, ratio, by_o, by_ratio, by_f, by_z, kept, *_) in enumerate(order):
        d_h = d_h + d_output
        torch.mul(d_h, by_o, out=o)
        d_ratio = d_h.mul_(by_ratio)
        d_c.add_(d_ratio)
        d_n.addcmul_(d_ratio, ratio, value=-1)
        i.mul_(torch.addcmul(d_n, d_c, z))
        torch.mul(d_c, by_z, out=z)
        if place + 1 == len(order):
            f.zero_()
            break
        *_, c_before, n_before = order[place + 1]
        torch.mul(d_c, c_before, out=f).addcmul_(d_n, n_before).mul_(by_f)
        d_c.mul_(kept)
        d_n.mul_(kept)
        for gate, part in zip((i, f, z, o), d_gates.chunk(GATES, dim=-1), strict=True):
            part.copy_(_by_head(gate, blocks.shape[1]))
        d_h = torch.matmul(d_gates, blocks).transpose(1, 2).flatten(2)


def _by_head(rows: Tensor, heads: int) -> Tensor:
    """(K, rows, H) → (K, heads, rows, H/heads)."""
    return rows.unflatten(-1, (heads, -1)).transpose(1, 2)


def _products(h: Tensor, blocks: Tensor) -> list[Tensor]:
    """What h (K, B, H) gives to each gate, (K, B, H)."""
    of_heads = torch.matmul(_by_head(h, blocks.shape[1]), blocks.mT)
    return [it.transpose(1, 2).flatten(2) for it in of_heads.chunk(GATES, dim=-1)]


def _steps(forward: bool, *planes: Tensor) -> list[tuple[Tensor, ...]]:
    """The steps (K, B, H) of planes (K, T, B, H), from the first or from the last on."""
    steps = list(zip(*(it.unbind(1) for it in planes), strict=True))
    return steps if forward else steps[::-1]
