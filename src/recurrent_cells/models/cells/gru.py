"""The gated recurrent unit, its reset gate after the recurrent product."""

from typing import Any, ClassVar

from torch import Tensor

from recurrent_cells.models.cells import Cell, Shapes, State, Steps, Weights, gate_shapes, linear


class GRUSteps(Steps):
    """Gates r, z, n, before them U h + c of n alone; n ends as h' - z (h - n)."""

    num_gates, num_apart = 3, 1
    sigmoids: ClassVar = [0, 1]

    @staticmethod
    def forward(arrays: Any, planes: Any, before: Any, saved: Any) -> None:
        recurrent, r, z, n = planes
        arrays.sigmoid(planes[1:3])
        n += arrays.multiply(r, recurrent, out=saved[0])
        arrays.tanh(n, out=n)
        h = arrays.subtract(before[0], n, out=saved[0])
        h *= z
        h += n

    @staticmethod
    def backward(arrays: Any, planes: Any, before: Any, saved: Any, d_h: Any, d_c: Any) -> tuple[Any, Any]:
        recurrent, r, z, n = planes
        factor = arrays.one - z
        d_n = d_h * factor
        factor *= z
        factor *= d_h
        d_h *= z
        arrays.subtract(before[0], n, out=z)
        z *= factor
        arrays.multiply(n, n, out=factor)
        arrays.subtract(arrays.one, factor, out=factor)
        arrays.multiply(d_n, factor, out=n)
        arrays.multiply(n, recurrent, out=d_n)
        arrays.multiply(n, r, out=recurrent)
        arrays.subtract(arrays.one, r, out=factor)
        r *= factor
        r *= d_n
        return d_h, None


class GRU(Cell):
    """r, z = sigmoid(W x + b + U h + c), n = tanh(W x + b + r (U h + c)); h' = n + z (h - n).

    W (3 H, F) and U (3 H, H) hold the gates in the order r, z, n; 3 H (F + H + 2) parameters.
    """

    name, label, color = "gru", "GRU", "#009E73"
    source = "Cho et al. 2014, Learning phrase representations using RNN encoder-decoder"
    routes = ("numpy", "torch", "triton")
    by_hand = GRUSteps

    def shapes(self, input_size: int, hidden_size: int) -> Shapes:
        return gate_shapes(3, input_size, hidden_size)

    def step(self, inputs: Tensor, state: State, weights: Weights) -> State:
        (h,) = state
        r, z, n = inputs.chunk(3, dim=-1)
        of_r, of_z, of_n = linear(h, weights["weight_hh"], weights["bias_hh"]).chunk(3, dim=-1)
        z = (z + of_z).sigmoid()
        n = (n + (r + of_r).sigmoid() * of_n).tanh()
        return (n + z * (h - n),)
