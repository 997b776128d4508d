"""The long short-term memory whose gates do not read the state, their sum normalised to one."""

import torch
from torch import Tensor
from torch.nn.functional import softplus

from recurrent_cells.models.cells import LinearCell, Shapes, Weights, half_linear


class MinLSTM(LinearCell):
    """f, i = sigmoid(W x + b), v = V x + c, g(v) = v + ½ for v ≥ 0, else sigmoid(v); h' = (f h + i g(v)) / (f + i).

    `weight_ih` (3 H, F) holds f, i, v in this order; 3 H (F + 1) parameters. h is 0 before the first step.
    """

    name, label, color = "min_lstm", "minLSTM", "#332288"
    source = "Feng et al. 2024, Were RNNs all we needed? arXiv:2410.01201"
    recurrent = ()

    def shapes(self, input_size: int, hidden_size: int) -> Shapes:
        return {"weight_ih": (3 * hidden_size, input_size), "bias_ih": (3 * hidden_size,)}

    def coefficients(self, inputs: Tensor, weights: Weights) -> tuple[Tensor, Tensor]:
        f, i, v = inputs.chunk(3, dim=-1)
        # f / (f + i) without a quotient of numbers that may both be 0
        kept = (softplus(-i) - softplus(-f)).sigmoid()
        return kept, (1 - kept) * half_linear(v)

    def initialize(self, weights: Weights, init: str, forget_bias: float | None) -> None:
        """As every cell; then the forget gate's bias is `forget_bias`, if any: above 0 it keeps more at first."""
        super().initialize(weights, init, forget_bias)
        if forget_bias is not None:
            with torch.no_grad():
                weights["bias_ih"][: len(weights["bias_ih"]) // 3] = forget_bias
