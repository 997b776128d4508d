"""Long expressive memory: two states, each with time steps that it learns."""

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor

from recurrent_cells.config.rules import number
from recurrent_cells.models.cells import Cell, Option, Shapes, State, Weights
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


class LEMSteps(WholeSteps):
    """Gates t, r, z, h as in the weights."""

    num_gates = 4

    def __init__(self, settings: Mapping[str, Any], weights: Tensors) -> None:
        self.dt, (self.of_h, self.of_z) = settings["dt"], weights

    def forward(self, planes: Tensors, before: Tensors, after: Tensors) -> None:
        (t, r, to_z, to_h), (h, z), (h_after, z_after) = planes, before, after
        add_products(planes[:3], h, self.of_h)
        self._approach(z, tanh_(to_z), t.sigmoid_(), z_after)
        add_products([to_h], z_after, self.of_z)
        self._approach(h, tanh_(to_h), r.sigmoid_(), h_after)

    def backward(self, planes: Tensors, before: Tensors, after: Tensors, d_state: Tensors) -> Tensors:
        (t, r, to_z, to_h), (h, z), (d_h, d_z) = planes, before, d_state
        self._approach_back(h, to_h, r, d_h)
        add_products_back(d_z, [to_h], self.of_z)
        self._approach_back(z, to_z, t, d_z)
        return add_products_back(d_h, planes[:3], self.of_h), d_z

    def weight_gradients(self, d_planes: Tensors, before: Tensors, after: Tensors) -> Tensors:
        *of_h, of_z = d_planes
        return [product_gradients(of_h, before[0]), product_gradients([of_z], after[1])]

    def _approach(self, state: Tensor, aim: Tensor, rate: Tensor, out: Tensor) -> None:
        """state + dt rate (aim - state)."""
        torch.sub(aim, state, out=out).mul_(rate)
        torch.add(state, out, alpha=self.dt, out=out)

    def _approach_back(self, state: Tensor, aim: Tensor, rate: Tensor, d_state: Tensor) -> None:
        """Aim and rate become gradients of what is in their tanh and sigmoid, `d_state` that of the state before."""
        d_aim = (d_state * rate).mul_(self.dt)
        d_rate = (aim - state).mul_(d_state).mul_(self.dt)
        d_state.sub_(d_aim)
        through_tanh(d_aim, aim)
        through_sigmoid(d_rate, rate)


class LEM(Cell):
    """t, r = dt sigmoid(W x + b + U h); z' = z + t (tanh(W x + b + U h) - z), h' = h + r (tanh(W x + b + V z') - h).

    W (4 H, F) and b (4 H,) hold t, r, z, h in this order, U (3 H, H) those of t, r, z; with V (H, H) there are
    4 H (F + H + 1) parameters.
    """

    name, label, color = "lem", "LEM", "#7B3F00"
    source = "Rusch et al. 2021, Long expressive memory for sequence modeling"
    options: ClassVar = {"dt": Option(1.0, "the longest time step", number(0, 1, above=True))}
    num_states = 2
    recurrent = ("weight_hh", "weight_hh_z")
    routes = ("steps",)
    whole_steps = LEMSteps

    def shapes(self, input_size: int, hidden_size: int) -> Shapes:
        return {
            "weight_ih": (4 * hidden_size, input_size),
            "weight_hh": (3 * hidden_size, hidden_size),
            "weight_hh_z": (hidden_size, hidden_size),
            "bias_ih": (4 * hidden_size,),
        }

    def step(self, inputs: Tensor, state: State, weights: Weights) -> State:
        h, z = state
        *of_h, of_z = inputs.chunk(4, dim=-1)
        recurrent = torch.matmul(h, weights["weight_hh"].mT).chunk(3, dim=-1)
        t, r, into_z = (plane + it for plane, it in zip(of_h, recurrent, strict=True))
        z = z + self.settings["dt"] * t.sigmoid() * (into_z.tanh() - z)
        into_h = of_z + torch.matmul(z, weights["weight_hh_z"].mT)
        return h + self.settings["dt"] * r.sigmoid() * (into_h.tanh() - h), z
