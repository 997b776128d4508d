"""coRNN: hidden units as oscillators that drive one another."""

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
    through_tanh,
)


class CoRNNSteps(WholeSteps):
    """One gate, the force that the units exert on one another."""

    num_gates = 1

    def __init__(self, settings: Mapping[str, Any], weights: Tensors) -> None:
        self.of_h, self.of_z = weights[0].chunk(2, dim=2)
        self.dt = settings["dt"]
        self.pull, self.kept = self.dt * settings["gamma"], 1 - self.dt * settings["epsilon"]

    def forward(self, planes: Tensors, before: Tensors, after: Tensors) -> None:
        (force,), (h, z), (h_after, z_after) = planes, before, after
        add_products(planes, h, self.of_h)
        add_products(planes, z, self.of_z)
        torch.mul(z, self.kept, out=z_after).add_(tanh_(force), alpha=self.dt).sub_(h, alpha=self.pull)
        torch.add(h, z_after, alpha=self.dt, out=h_after)

    def backward(self, planes: Tensors, before: Tensors, after: Tensors, d_state: Tensors) -> Tensors:
        (force,), (d_h, d_z) = planes, d_state
        d_z.add_(d_h, alpha=self.dt)
        through_tanh(d_z * self.dt, force)
        add_products_back(d_h.sub_(d_z, alpha=self.pull), planes, self.of_h)
        return d_h, add_products_back(d_z.mul_(self.kept), planes, self.of_z)

    def weight_gradients(self, d_planes: Tensors, before: Tensors, after: Tensors) -> Tensors:
        return [torch.cat([product_gradients(d_planes, it) for it in before], dim=2)]


class CoRNN(Cell):
    """z' = z + dt (tanh(W x + b + U [h, z]) - gamma h - epsilon z), h' = h + dt z'.

    W (H, F), b (H,) and U (H, 2 H), of the positions h and then of the velocities z: H (F + 2 H + 1) parameters. This
    is the paper's explicit scheme, with its sMNIST settings as defaults.
    """

    name, label, color = "cornn", "coRNN", "#A0522D"
    source = "Rusch and Mishra 2020, Coupled oscillatory recurrent neural network (coRNN)"
    options: ClassVar = {
        "dt": Option(0.042, "the time step", number(0, 1, above=True)),
        "gamma": Option(2.7, "the pull back, a frequency squared", number(0)),
        "epsilon": Option(4.7, "the damping", number(0)),
    }
    num_states = 2
    routes = ("steps",)
    whole_steps = CoRNNSteps

    def shapes(self, input_size: int, hidden_size: int) -> Shapes:
        return {
            "weight_ih": (hidden_size, input_size),
            "weight_hh": (hidden_size, 2 * hidden_size),
            "bias_ih": (hidden_size,),
        }

    def step(self, inputs: Tensor, state: State, weights: Weights) -> State:
        h, z = state
        driven = (inputs + torch.matmul(torch.cat([h, z], dim=-1), weights["weight_hh"].mT)).tanh()
        z = z + self.settings["dt"] * (driven - self.settings["gamma"] * h - self.settings["epsilon"] * z)
        return h + self.settings["dt"] * z, z
