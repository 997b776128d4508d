"""JANET: an LSTM that has kept its forget gate alone."""

from typing import ClassVar

import torch
from torch import Tensor

from recurrent_cells.config.rules import at_least, number
from recurrent_cells.models.cells import Cell, Option, Shapes, State, Weights, gate_shapes, linear


class JANET(Cell):
    """s, g = W x + b + U h + c; h' = sigmoid(s) h + (1 - sigmoid(s - beta)) tanh(g).

    W (2 H, F) and U (2 H, H) hold the gates in the order s, g; 2 H (F + H + 2) parameters. Whatever `model.init` says,
    biases start as in the paper (Tallec and Ollivier 2018, chrono initialisation): that of s at log u with u uniform
    between 1 and steps - 1, so that memories last up to about `steps`, all others at 0; `model.forget_bias` replaces
    the first.
    """

    name, label, color = "janet", "JANET", "#F4A582"
    source = "Van der Westhuizen and Lasenby 2018, The unreasonable effectiveness of the forget gate"
    options: ClassVar = {
        "beta": Option(1.0, "how much less than it forgets a unit takes in", number(0)),
        "steps": Option(28, "for how many steps memories last at the start, at most", at_least(2)),
    }

    def shapes(self, input_size: int, hidden_size: int) -> Shapes:
        return gate_shapes(2, input_size, hidden_size)

    def step(self, inputs: Tensor, state: State, weights: Weights) -> State:
        (h,) = state
        s, g = (inputs + linear(h, weights["weight_hh"], weights["bias_hh"])).chunk(2, dim=-1)
        return (s.sigmoid() * h + (self.settings["beta"] - s).sigmoid() * g.tanh(),)

    def initialize(self, weights: Weights, init: str, forget_bias: float | None) -> None:
        super().initialize(weights, init, forget_bias)
        with torch.no_grad():
            weights["bias_hh"].zero_()
            weights["bias_ih"].zero_()
            of_s = weights["bias_ih"].chunk(2)[0]
            if forget_bias is None:
                of_s.uniform_(1.0, max(1.0, self.settings["steps"] - 1.0)).log_()
            else:
                of_s.fill_(forget_bias)
