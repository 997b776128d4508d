"""The gated recurrent unit whose gates do not read the state."""

from torch import Tensor

from recurrent_cells.models.cells import LinearCell, Shapes, Weights, half_linear


class MinGRU(LinearCell):
    """z = sigmoid(W x + b), v = V x + c, g(v) = v + ½ for v ≥ 0, else sigmoid(v); h' = (1 - z) h + z g(v).

    `weight_ih` (2 H, F) holds W and V, in this order; 2 H (F + 1) parameters. h is 0 before the first step.
    """

    name, label, color = "min_gru", "minGRU", "#56B4E9"
    source = "Feng et al. 2024, Were RNNs all we needed? arXiv:2410.01201"
    recurrent = ()

    def shapes(self, input_size: int, hidden_size: int) -> Shapes:
        return {"weight_ih": (2 * hidden_size, input_size), "bias_ih": (2 * hidden_size,)}

    def coefficients(self, inputs: Tensor, weights: Weights) -> tuple[Tensor, Tensor]:
        z, v = inputs.chunk(2, dim=-1)
        z = z.sigmoid()
        return 1 - z, z * half_linear(v)
