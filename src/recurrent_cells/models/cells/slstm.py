"""The sLSTM of xLSTM: exponential gates, a normaliser, and heads that mix no memory with one another."""

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recurrent_cells.config.rules import one_of
from recurrent_cells.models.cells import HEADS, Cell, Option, Shapes, State, Weights, units_of_head


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

    def shapes(self, input_size: int, hidden_size: int) -> Shapes:
        heads, units = self.settings["heads"], units_of_head(self.settings["heads"], hidden_size)
        return {
            "weight_ih": (4 * hidden_size, input_size),
            "weight_hh": (heads, 4 * units, units),
            "bias_ih": (3 * hidden_size,),
        }

    def inputs(self, x: Tensor, weights: Weights) -> Tensor:
        bias = weights["bias_ih"]
        return super().inputs(x, {**weights, "bias_ih": F.pad(bias, (bias.shape[-1] // 3, 0))})

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
