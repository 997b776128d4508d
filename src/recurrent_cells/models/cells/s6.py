"""Mamba's selective state space: step, input and output of each feature's linear system follow from the input."""

import math
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from recurrent_cells.config.rules import at_least
from recurrent_cells.models.cells import LinearCell, Option, Shapes, Weights, linear

STEP = (1e-3, 1e-1)


class S6(LinearCell):
    """u, δ, B, C = W x + b, Δ = softplus(V δ + c); of each of the H features of u, with N numbers in its state s,
    s' = e^{ΔA} s + Δ B u, y = C s' + D u.

    `weight_ih` (H + R + 2 N, F) holds u, δ, B, C in this order, R being H / 16 rounded up; `weight_step` (H, R) and
    `bias_step` (H,) are V and c, `decay` (H, N) is log -A, `skip` (H,) is D; (H + R + 2 N) (F + 1) + H (R + N + 2)
    parameters. In the paper δ, B and C are products of u, here of x: products of products are no more.
    Whatever `model.init` says, A begins as -1, …, -N, Δ log-uniform in [0.001, 0.1] at δ = 0, D as 1, and V uniform
    within ± 1 / sqrt(R).
    """

    name, label, color = "s6", "S6", "#44AA99"
    source = "Gu and Dao 2023, Mamba: linear-time sequence modeling with selective state spaces, arXiv:2312.00752"
    recurrent = ("bias_step", "decay")
    routes = ("chunks", "scan")
    options: ClassVar = {"state_size": Option(16, "N, numbers in the state of a feature", at_least(1))}

    def state_size(self, hidden_size: int) -> int:
        return hidden_size * self._numbers

    @property
    def _numbers(self) -> int:
        return int(self.settings["state_size"])

    def shapes(self, input_size: int, hidden_size: int) -> Shapes:
        rank = math.ceil(hidden_size / 16)
        rows = hidden_size + rank + 2 * self._numbers
        return {
            "weight_ih": (rows, input_size),
            "bias_ih": (rows,),
            "weight_step": (hidden_size, rank),
            "bias_step": (hidden_size,),
            "decay": (hidden_size, self._numbers),
            "skip": (hidden_size,),
        }

    def coefficients(self, inputs: Tensor, weights: Weights) -> tuple[Tensor, Tensor]:
        delta, v, b, _ = self.factors(inputs, weights)
        a = (delta.unsqueeze(-2) * self.rates(weights).unsqueeze(-3)).exp()
        return a.flatten(-2), (v.unsqueeze(-2) * b.unsqueeze(-1)).flatten(-2)

    def outputs(self, states: Tensor, inputs: Tensor, weights: Weights) -> Tensor:
        c = inputs[..., -self._numbers :]
        by_number = states.unflatten(-1, (self._numbers, -1))
        return (by_number * c.unsqueeze(-1)).sum(dim=-2) + self.skipped(inputs, weights)

    def rates(self, weights: Weights) -> Tensor:
        """A (…, N, H)."""
        return -weights["decay"].mT.contiguous().exp()

    def factors(self, inputs: Tensor, weights: Weights) -> tuple[Tensor, ...]:
        """Δ and Δ u (…, rows, H), B and C (…, rows, N) of `inputs` (…, rows, G·H)."""
        hidden_size, rank = weights["weight_step"].shape[-2:]
        u, low_rank, b, c = inputs.split([hidden_size, rank, self._numbers, self._numbers], dim=-1)
        delta = softplus(linear(low_rank, weights["weight_step"], weights["bias_step"]).to(u.dtype))
        return delta, delta * u, b, c

    def skipped(self, inputs: Tensor, weights: Weights) -> Tensor:
        """D u, (…, rows, H)."""
        skip = weights["skip"].unsqueeze(-2)
        return skip * inputs[..., : skip.shape[-1]]

    def initialize(self, weights: Weights, init: str, forget_bias: float | None) -> None:
        super().initialize(weights, init, forget_bias)
        bound = weights["weight_step"].shape[1] ** -0.5
        with torch.no_grad():
            nn.init.uniform_(weights["weight_step"], -bound, bound)
            step = weights["bias_step"].uniform_(*map(math.log, STEP)).exp()
            weights["bias_step"].copy_(step.expm1().log())
            weights["decay"].copy_(torch.arange(1, self._numbers + 1).log())
            weights["skip"].fill_(1.0)
