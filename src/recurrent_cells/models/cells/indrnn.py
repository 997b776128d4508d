"""The independently recurrent network: each hidden unit sees its own past alone."""

from typing import ClassVar

from torch import Tensor, nn

from recurrent_cells.config.rules import at_least
from recurrent_cells.models.cells import Cell, Option, Shapes, State, Weights


class IndRNN(Cell):
    """h' = relu(W x + b + u h), the product with u taken unit by unit.

    W (H, F), b (H,) and u (H,): H (F + 2) parameters. Whatever `model.init` says, u starts uniformly between 0 and
    2^(1/T), so that over T steps no gradient grows more than twofold; the paper also keeps u within that bound in
    training, which is not done here.
    """

    name, label, color = "indrnn", "IndRNN", "#E69F00"
    source = "Li et al. 2018, Independently recurrent neural network (IndRNN): building a longer and deeper RNN"
    options: ClassVar = {"steps": Option(784, "T of 2^(1/T), the largest recurrent weight at the start", at_least(1))}

    def shapes(self, input_size: int, hidden_size: int) -> Shapes:
        return {"weight_ih": (hidden_size, input_size), "weight_hh": (hidden_size,), "bias_ih": (hidden_size,)}

    def step(self, inputs: Tensor, state: State, weights: Weights) -> State:
        (h,) = state
        return ((inputs + weights["weight_hh"].unsqueeze(-2) * h).relu(),)

    def initialize(self, weights: Weights, init: str, forget_bias: float | None) -> None:
        super().initialize(weights, init, forget_bias)
        nn.init.uniform_(weights["weight_hh"], 0.0, 2.0 ** (1.0 / self.settings["steps"]))
