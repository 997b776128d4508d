"""The real-gated linear recurrent unit of Griffin and RecurrentGemma."""

import torch
from torch import Tensor
from torch.nn.functional import softplus

from recurrent_cells.models.cells import LinearCell, Shapes, Weights

# The exponent c of the paper, and the range in which a of an open gate begins.
EXPONENT, SLOWEST, FASTEST = 8.0, 0.999, 0.9


class RGLRU(LinearCell):
    """r, i = sigmoid(W x + b), u = V x + d, log a = -8 r softplus(Λ); h' = a h + sqrt(1 - a²) i u.

    `weight_ih` (3 H, F) holds r, i, u in this order, `decay` (H,) is Λ; 3 H (F + 1) + H parameters. In the paper the
    input has H features and is u itself; here u is a product of it, so that F may differ.
    Whatever `model.init` says, exp(-8 softplus(Λ)) begins uniform in [0.9, 0.999].
    """

    name, label, color = "rg_lru", "RG-LRU", "#7B4FC9"
    source = "De et al. 2024, Griffin: mixing gated linear recurrences with local attention, arXiv:2402.19427"
    recurrent = ("decay",)

    def shapes(self, input_size: int, hidden_size: int) -> Shapes:
        return {
            "weight_ih": (3 * hidden_size, input_size),
            "bias_ih": (3 * hidden_size,),
            "decay": (hidden_size,),
        }

    def coefficients(self, inputs: Tensor, weights: Weights) -> tuple[Tensor, Tensor]:
        r, i, u = inputs.chunk(3, dim=-1)
        log_a = r.sigmoid() * (-EXPONENT * softplus(weights["decay"])).unsqueeze(-2)
        # Of a closed gate a rounds to 1: the root's slope would be infinite.
        rest = (-torch.expm1(2 * log_a)).clamp_min(torch.finfo(log_a.dtype).tiny)
        return log_a.exp(), rest.sqrt() * i.sigmoid() * u

    def initialize(self, weights: Weights, init: str, forget_bias: float | None) -> None:
        super().initialize(weights, init, forget_bias)
        with torch.no_grad():
            rate = -weights["decay"].uniform_(FASTEST, SLOWEST).log() / EXPONENT
            weights["decay"].copy_(rate.expm1().log())
