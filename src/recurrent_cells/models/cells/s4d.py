"""The diagonal structured state space: a small linear system for each feature, held constant within a step."""

import math
from typing import ClassVar

import torch
from torch import Tensor, nn

from recurrent_cells.config.rules import Rule, at_least
from recurrent_cells.models.cells import LinearCell, Option, Shapes, Weights, complex_product, in_turn

STEP = (1e-3, 1e-1)
EVEN = Rule(lambda value: at_least(2).allows(value) and value % 2 == 0, "an even integer of at least 2")


class S4D(LinearCell):
    """u = W x + b; of each of its H features s' = e^{ΔA} s + (e^{ΔA} - 1) / A u, y = 2 Re(C s') + D u, with N / 2 pairs
    of conjugate complex numbers in a state s, one of each kept.

    `weight_ih` (H, F) is W, `step` (H,) is log Δ, `decay` and `frequency` (H, N / 2) make A = -e^decay + i frequency,
    `weight_c` (H, N) holds the real and imaginary parts of C's conjugate in turn, `skip` (H,) is D; H (F + 3 + 2 N)
    parameters. In the paper the input has H features and is u itself.
    Whatever `model.init` says, A begins as -½ + i π n, Δ log-uniform in [0.001, 0.1], C as normal numbers of variance
    1, their parts of ½, and D normal.
    """

    name, label, color = "s4d", "S4D", "#117733"
    source = "Gu et al. 2022, On the parameterization and initialization of diagonal SSMs, arXiv:2206.11893"
    is_complex = True
    recurrent = ("step", "decay", "frequency")
    options: ClassVar = {"state_size": Option(16, "N, real numbers in the state of a feature", EVEN)}

    def state_size(self, hidden_size: int) -> int:
        return hidden_size * 2 * self._pairs

    @property
    def _pairs(self) -> int:
        return int(self.settings["state_size"]) // 2

    def shapes(self, input_size: int, hidden_size: int) -> Shapes:
        return {
            "weight_ih": (hidden_size, input_size),
            "bias_ih": (hidden_size,),
            "step": (hidden_size,),
            "decay": (hidden_size, self._pairs),
            "frequency": (hidden_size, self._pairs),
            "weight_c": (hidden_size, 2 * self._pairs),
            "skip": (hidden_size,),
        }

    def coefficients(self, inputs: Tensor, weights: Weights) -> tuple[Tensor, Tensor]:
        """The states are those of the equations divided by (exp(ΔA) - 1) / A: all of a feature have one input, u."""
        a = in_turn(*self._factor(weights)).flatten(-2).unsqueeze(-2)
        ones = torch.ones_like(inputs[..., :1]).unsqueeze(-1).expand(*inputs.shape[:-1], 1, self._pairs)
        return a, (inputs.unsqueeze(-1) * in_turn(ones, torch.zeros_like(ones))).flatten(-2)

    def outputs(self, states: Tensor, inputs: Tensor, weights: Weights) -> Tensor:
        real, imaginary = self._factor(weights)
        # (exp(ΔA) - 1) / A is (exp(ΔA) - 1) A* / |A|²; its conjugate times that of C is read.
        decay, frequency = weights["decay"].exp(), weights["frequency"]
        conjugate = in_turn(real - 1, -imaginary), in_turn(-decay, frequency)
        scale = (2 / (decay.square() + frequency.square())).repeat_interleave(2, dim=-1)
        read = scale * complex_product(complex_product(*conjugate), weights["weight_c"])
        products = states.unflatten(-1, (-1, 2 * self._pairs)) * read.unsqueeze(-3)
        return products.sum(dim=-1) + weights["skip"].unsqueeze(-2) * inputs

    def _factor(self, weights: Weights) -> tuple[Tensor, Tensor]:
        """The parts of exp(ΔA), (…, H, N / 2)."""
        step = weights["step"].exp().unsqueeze(-1)
        size, phase = (-step * weights["decay"].exp()).exp(), step * weights["frequency"]
        return size * phase.cos(), size * phase.sin()

    def initialize(self, weights: Weights, init: str, forget_bias: float | None) -> None:
        super().initialize(weights, init, forget_bias)
        with torch.no_grad():
            weights["step"].uniform_(*map(math.log, STEP))
            weights["decay"].fill_(math.log(0.5))
            weights["frequency"].copy_(math.pi * torch.arange(self._pairs))
            nn.init.normal_(weights["weight_c"], std=math.sqrt(0.5))
            nn.init.normal_(weights["skip"])
