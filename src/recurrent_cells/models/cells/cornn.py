"""coRNN: hidden units as oscillators that drive one another."""

from typing import ClassVar

import torch
from torch import Tensor

from recurrent_cells.config.rules import number
from recurrent_cells.models.cells import Cell, Option, Shapes, State, Weights


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
