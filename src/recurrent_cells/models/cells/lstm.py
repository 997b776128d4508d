"""The long short-term memory with a forget gate."""

from typing import Any, ClassVar

import torch
from torch import Tensor

from recurrent_cells.models.cells import Cell, Shapes, State, Steps, Weights, gate_shapes, linear


class LSTMSteps(Steps):
    """Gates i, f, g, o; h, c and tanh(c) are saved."""

    num_gates, num_saved = 4, 3
    sigmoids: ClassVar = [0, 1, 3]

    @staticmethod
    def forward(arrays: Any, planes: Any, before: Any, saved: Any) -> None:
        (i, f, g, o), (h, c, tanh_c) = planes, saved
        arrays.sigmoid(planes[:2])
        arrays.tanh(g, out=g)
        arrays.sigmoid(o)
        arrays.multiply(f, before[1], out=c)
        c += arrays.multiply(i, g, out=h)
        arrays.tanh(c, out=tanh_c)
        arrays.multiply(o, tanh_c, out=h)

    @staticmethod
    def backward(arrays: Any, planes: Any, before: Any, saved: Any, d_h: Any, d_c: Any) -> tuple[Any, Any]:
        (i, f, g, o), (_, _, tanh_c) = planes, saved
        through_h = d_h * o * (1 - tanh_c * tanh_c)
        d_c = through_h if d_c is None else d_c + through_h
        d_before = d_c * f
        d_i = d_c * g * i * (1 - i)
        f[...] = d_c * before[1] * f * (1 - f)
        g[...] = d_c * i * (1 - g * g)
        o[...] = d_h * tanh_c * o * (1 - o)
        i[...] = d_i
        return None, d_before


class LSTM(Cell):
    """i, f, o = sigmoid(W x + b + U h + c), g = tanh(…); c' = f c + i g, h' = o tanh(c').

    W (4 H, F) and U (4 H, H) hold the gates in the order i, f, g, o; 4 H (F + H + 2) parameters.
    """

    name, label, color = "lstm", "LSTM", "#0072B2"
    source = "Hochreiter and Schmidhuber 1997, Long short-term memory; Gers et al. 2000, Learning to forget"
    num_states = 2
    routes = ("torch", "numpy", "triton")
    by_hand = LSTMSteps

    def shapes(self, input_size: int, hidden_size: int) -> Shapes:
        return gate_shapes(4, input_size, hidden_size)

    def step(self, inputs: Tensor, state: State, weights: Weights) -> State:
        h, c = state
        i, f, g, o = (inputs + linear(h, weights["weight_hh"], weights["bias_hh"])).chunk(4, dim=-1)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        return o.sigmoid() * c.tanh(), c

    def initialize(self, weights: Weights, init: str, forget_bias: float | None) -> None:
        """As every cell; then the forget gate's bias, in sum, is `forget_bias`, or 1 where Keras sets it."""
        super().initialize(weights, init, forget_bias)
        if forget_bias is None and init == "torch":
            return
        hidden_size = weights["weight_hh"].shape[-1]
        with torch.no_grad():
            weights["bias_ih"][hidden_size : 2 * hidden_size] = 1.0 if forget_bias is None else forget_bias
            weights["bias_hh"][hidden_size : 2 * hidden_size] = 0.0
