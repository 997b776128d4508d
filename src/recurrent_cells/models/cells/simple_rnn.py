"""The simple recurrent network of Elman."""

from typing import Any

from torch import Tensor

from recurrent_cells.models.cells import Cell, Shapes, State, Steps, Weights, gate_shapes, linear


class SimpleRNNSteps(Steps):
    """One gate, whose activation is h."""

    num_gates = 1

    @staticmethod
    def forward(arrays: Any, planes: Any, before: Any, saved: Any) -> None:
        arrays.tanh(planes[0], out=saved[0])

    @staticmethod
    def slopes(arrays: Any, planes: Any, saved: Any) -> None:
        arrays.multiply(saved, saved, out=planes)
        arrays.subtract(arrays.one, planes, out=planes)

    @staticmethod
    def backward(arrays: Any, planes: Any, before: Any, saved: Any, d_h: Any, d_c: Any) -> tuple[Any, Any]:
        (slope,) = planes
        slope *= d_h
        return None, None


class SimpleRNN(Cell):
    """h' = tanh(W x + b + U h + c), with W (H, F), U (H, H) and H (F + H + 2) parameters."""

    name, label, color = "simple_rnn", "SimpleRNN", "#D55E00"
    source = "Elman 1990, Finding structure in time"
    routes = ("numpy", "torch", "triton")
    by_hand = SimpleRNNSteps

    def shapes(self, input_size: int, hidden_size: int) -> Shapes:
        return gate_shapes(1, input_size, hidden_size)

    def step(self, inputs: Tensor, state: State, weights: Weights) -> State:
        (h,) = state
        return ((inputs + linear(h, weights["weight_hh"], weights["bias_hh"])).tanh(),)
