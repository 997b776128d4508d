"""The linear recurrent unit: a diagonal complex recurrence that does not vary in time."""

import math
from typing import ClassVar

import torch
from torch import Tensor, nn

from recurrent_cells.config.rules import at_least, number
from recurrent_cells.models.cells import LinearCell, Option, Shapes, Weights, in_turn


class LRU(LinearCell):
    """λ = exp(-exp(nu) + i exp(theta)); s' = λ s + exp(gamma) B x, y = Re(C s') + D x, with S complex numbers in s.

    `weight_b` (2 S, F) holds the real and imaginary parts of B, row by row in turn, `weight_c` (H, 2 S) those of the
    conjugate of C; `weight_d` (H, F) is D, `nu`, `theta` and `gamma` are (S,); 2 S (F + H) + H F + 3 S parameters.
    Whatever `model.init` says, |λ|² begins uniform between r_min² and r_max², its phase uniform in [0, max_phase],
    exp(gamma) as sqrt(1 - |λ|²), and the parts of B and C and D normal with the variances 1 / 2F, 1 / S, 1 / F.
    """

    name, label, color = "lru", "LRU", "#AA4499"
    source = "Orvieto et al. 2023, Resurrecting recurrent neural networks for long sequences, arXiv:2303.06349"
    is_complex = True
    recurrent = ("weight_b", "nu", "theta", "gamma")  # those of the paper's smaller learning rate
    options: ClassVar = {
        "state_size": Option(64, "complex numbers in the state", at_least(1)),
        "r_min": Option(0.0, "the least absolute value of a first eigenvalue", number(0, 1, below=True)),
        "r_max": Option(1.0, "the largest one", number(0, 1, above=True)),
        "max_phase": Option(6.283, "the largest phase of a first eigenvalue", number(0, above=True)),
    }

    def state_size(self, hidden_size: int) -> int:
        return 2 * int(self.settings["state_size"])

    def shapes(self, input_size: int, hidden_size: int) -> Shapes:
        size = int(self.settings["state_size"])
        return {
            "weight_b": (2 * size, input_size),
            "weight_c": (hidden_size, 2 * size),
            "weight_d": (hidden_size, input_size),
            "nu": (size,),
            "theta": (size,),
            "gamma": (size,),
        }

    def inputs(self, x: Tensor, weights: Weights) -> Tensor:
        """exp(gamma) B x, its real and imaginary parts in turn, and D x: (…, T, B, 2 S + H)."""
        weight_b = weights["weight_b"] * weights["gamma"].exp().repeat_interleave(2, dim=-1).unsqueeze(-1)
        weight = torch.cat((weight_b, weights["weight_d"]), dim=-2)
        return torch.matmul(x.flatten(-3, -2), weight.mT).unflatten(-2, x.shape[-3:-1])

    def coefficients(self, inputs: Tensor, weights: Weights) -> tuple[Tensor, Tensor]:
        size, phase = (-weights["nu"].exp()).exp(), weights["theta"].exp()
        a = in_turn(size * phase.cos(), size * phase.sin()).unsqueeze(-2)
        return a, inputs[..., : a.shape[-1]]

    def outputs(self, states: Tensor, inputs: Tensor, weights: Weights) -> Tensor:
        return torch.matmul(states, weights["weight_c"].mT) + inputs[..., states.shape[-1] :]

    def initialize(self, weights: Weights, init: str, forget_bias: float | None) -> None:
        low, high = (self.settings[name] ** 2 for name in ("r_min", "r_max"))
        with torch.no_grad():
            squared = weights["nu"].uniform_().mul_(high - low).add_(low).clamp_(1e-12, 1 - 1e-6)
            weights["gamma"].copy_((1 - squared).log() / 2)
            weights["nu"].copy_((squared.log() / -2).log())
            weights["theta"].uniform_().clamp_min_(1e-6).mul_(self.settings["max_phase"]).log_()
            variances = {"weight_b": 2 * weights["weight_b"].shape[1], "weight_c": len(weights["nu"])}
            variances["weight_d"] = weights["weight_d"].shape[1]
            for name, variance in variances.items():
                nn.init.normal_(weights[name], std=1 / math.sqrt(variance))
