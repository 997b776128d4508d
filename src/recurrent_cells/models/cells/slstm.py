"""The sLSTM of xLSTM: exponential gates, a normaliser, and heads that mix no memory with one another."""

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recurrent_cells.config.rules import one_of
from recurrent_cells.models.cells import HEADS, Cell, Option, Shapes, State, Weights, units_of_head
from recurrent_cells.models.whole_steps import Tensors, WholeSteps, tanh_, through_sigmoid, through_tanh


class SLSTMSteps(WholeSteps):
    """Gates i, f, z, o; exp(log f + m - m') is kept beside the state, f stays as it is."""

    num_gates, num_kept, on_gpu = 4, 1, True

    def __init__(self, settings: Mapping[str, Any], weights: Tensors) -> None:
        (self.blocks,), self.is_sigmoid = weights, settings["forget_gate"] == "sigmoid"

    @staticmethod
    def bias(weights: Weights) -> Tensor:
        bias = weights["bias_ih"]
        return F.pad(bias, (bias.shape[-1] // 3, 0))

    def forward(self, planes: Tensors, before: Tensors, after: Tensors) -> None:
        (i, f, z, o), (h, c, n, m, _), (h_after, c_after, n_after, m_after, decay) = planes, before, after
        of_heads = torch.matmul(self._by_head(h), self.blocks.mT)
        for gate, product in zip(planes, of_heads.chunk(self.num_gates, dim=-1), strict=True):
            gate.add_(product.transpose(1, 2).flatten(2))
        log_f = (F.logsigmoid(f) if self.is_sigmoid else f) + m
        torch.maximum(log_f, i, out=m_after)
        i.sub_(m_after).exp_()
        torch.sub(log_f, m_after, out=decay).exp_()
        torch.mul(i, tanh_(z), out=c_after).addcmul_(decay, c)
        torch.addcmul(i, decay, n, out=n_after)
        torch.mul(o.sigmoid_(), c_after, out=h_after).div_(n_after)

    def backward(self, planes: Tensors, before: Tensors, after: Tensors, d_state: Tensors) -> Tensors:
        (i, f, z, o), (_, c, n, *_), (_, c_after, n_after, _, decay) = planes, before, after
        d_h, d_c, d_n, d_m = d_state
        ratio = c_after / n_after
        d_ratio = (d_h * o).div_(n_after)
        through_sigmoid(d_h.mul_(ratio), o)
        d_c.add_(d_ratio)
        d_n.addcmul_(d_ratio, ratio, value=-1)
        d_z, d_i = d_c * i, torch.addcmul(d_n, d_c, z)
        through_tanh(d_z, z)
        i.mul_(d_i)
        slope = f.neg_().sigmoid_().mul_(decay) if self.is_sigmoid else decay
        torch.mul(d_c, c, out=d_i).addcmul_(d_n, n)
        torch.mul(d_i, slope, out=f)
        d_gates = torch.cat([self._by_head(gate) for gate in planes], dim=-1)
        d_h = torch.matmul(d_gates, self.blocks).transpose(1, 2).flatten(2)
        return d_h, d_c.mul_(decay), d_n.mul_(decay), d_m

    def weight_gradients(self, d_planes: Tensors, before: Tensors, after: Tensors) -> Tensors:
        states = self._by_head(before[0])
        return [torch.cat([self._by_head(it).mT @ states for it in d_planes], dim=-2)]

    def _by_head(self, rows: Tensor) -> Tensor:
        """(K, rows, H) → (K, heads, rows, H/heads)."""
        return rows.unflatten(-1, (self.blocks.shape[1], -1)).transpose(1, 2)


class SLSTM(Cell):
    """i = exp(a_i), f = sigmoid(a_f) or exp(a_f), z = tanh(a_z), o = sigmoid(a_o), where a = W x + b + U h.

    c' = f c + i z, n' = f n + i, h' = o c' / n'. Stabilised by m' = max(log f + m, a_i): in the place of i and f stand
    exp(a_i - m') and exp(log f + m - m'), which changes neither h nor a gradient. m starts at -∞ where the paper has 0,
    with the same h: n' is then never below 1.

    W (4 H, F) holds the gates in the order i, f, z, o. U (heads, 4 H/heads, H/heads) has a block for each head. b (3 H)
    leaves out i, where it would change c and n by the same factor and h not at all: 4 H (F + H/heads) + 3 H parameters.
    `model.forget_bias` is of f, as for the LSTM.
    """

    name, label, color = "slstm", "sLSTM", "#882255"
    source = "Beck et al. 2024, xLSTM: extended long short-term memory"
    options: ClassVar = {
        "heads": HEADS,
        "forget_gate": Option("sigmoid", "what the forget gate is of its input", one_of("sigmoid", "exponential")),
    }
    num_states = 4
    routes = ("steps",)
    whole_steps = SLSTMSteps

    def shapes(self, input_size: int, hidden_size: int) -> Shapes:
        heads, units = self.settings["heads"], units_of_head(self.settings["heads"], hidden_size)
        return {
            "weight_ih": (4 * hidden_size, input_size),
            "weight_hh": (heads, 4 * units, units),
            "bias_ih": (3 * hidden_size,),
        }

    def inputs(self, x: Tensor, weights: Weights) -> Tensor:
        return super().inputs(x, {**weights, "bias_ih": SLSTMSteps.bias(weights)})

    def step(self, inputs: Tensor, state: State, weights: Weights) -> State:
        h, c, n, m = state
        i, f, z, o = (inputs + self._recurrent(h, weights["weight_hh"])).chunk(4, dim=-1)
        log_f = F.logsigmoid(f) if self.settings["forget_gate"] == "sigmoid" else f
        log_f = log_f + m
        m = torch.maximum(log_f, i).detach()  # h does not depend on m: neither does any gradient
        i, f = (i - m).exp(), (log_f - m).exp()
        c, n = f * c + i * z.tanh(), f * n + i
        return o.sigmoid() * c / n, c, n, m

    def zero_state(self, inputs: Tensor, hidden_size: int) -> State:
        zeros = inputs.new_zeros(*inputs.shape[:-1], hidden_size)
        return zeros, zeros, zeros, torch.full_like(zeros, -torch.inf)

    def initialize(self, weights: Weights, init: str, forget_bias: float | None) -> None:
        blocks = weights["weight_hh"]
        super().initialize({name: it for name, it in weights.items() if it is not blocks}, init, forget_bias)
        if init != "torch":
            for block in blocks:
                nn.init.orthogonal_(block)
        if forget_bias is not None or init != "torch":
            with torch.no_grad():
                weights["bias_ih"].chunk(3)[0].fill_(1.0 if forget_bias is None else forget_bias)

    def _recurrent(self, h: Tensor, blocks: Tensor) -> Tensor:
        """What h (…, B, H) gives to the gates, (…, B, 4 H)."""
        heads, units = blocks.shape[-3], blocks.shape[-1]
        by_head = h.unflatten(-1, (heads, units)).transpose(-3, -2)
        of_heads = torch.matmul(by_head, blocks.transpose(-2, -1))  # (…, heads, B, 4 units)
        return of_heads.unflatten(-1, (4, units)).movedim(-4, -2).flatten(-3)
