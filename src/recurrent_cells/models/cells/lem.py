"""Long expressive memory: two states, each with time steps that it learns."""

from typing import ClassVar

import torch
from torch import Tensor

from recurrent_cells.config.rules import number
from recurrent_cells.models.cells import Cell, Option, Shapes, State, Weights


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
