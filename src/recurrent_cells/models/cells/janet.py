"""JANET: an LSTM that has kept its forget gate alone."""

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor

from recurrent_cells.config.rules import at_least, number
from recurrent_cells.models.cells import Cell, Option, Shapes, State, Weights, gate_shapes, linear
from recurrent_cells.models.whole_steps import (
    Tensors,
    WholeSteps,
    add_products,
    add_products_back,
    product_gradients,
    tanh_,
    through_sigmoid,
    through_tanh,
)


class JANETSteps(WholeSteps):
    """Gates s, g; sigmoid(beta - s) is kept beside h."""

    num_gates, num_kept = 2, 1

    def __init__(self, settings: Mapping[str, Any], weights: Tensors) -> None:
        self.beta, (self.weight,) = settings["beta"], weights

    @staticmethod
    def bias(weights: Weights) -> Tensor:
        return weights["bias_ih"] + weights["bias_hh"]

    def forward(self, planes: Tensors, before: Tensors, after: Tensors) -> None:
        (s, g), (h, _), (h_after, taken_in) = planes, before, after
        add_products(planes, h, self.weight)
        torch.sub(s, self.beta, out=taken_in).neg_().sigmoid_()
        torch.mul(s.sigmoid_(), h, out=h_after).addcmul_(taken_in, tanh_(g))

    def backward(self, planes: Tensors, before: Tensors, after: Tensors, d_state: Tensors) -> Tensors:
        (s, g), (h, _), (_, taken_in), (d_h,) = planes, before, after, d_state
        d_before = d_h * s
        d_taken_in = d_h * g
        through_tanh(d_h * taken_in, g)
        through_sigmoid(d_taken_in, taken_in)
        through_sigmoid(d_h.mul_(h), s)
        s.sub_(taken_in)
        return (add_products_back(d_before, planes, self.weight),)

    def weight_gradients(self, d_planes: Tensors, before: Tensors, after: Tensors) -> Tensors:
        return [product_gradients(d_planes, before[0])]


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
    routes = ("steps",)
    whole_steps = JANETSteps

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
