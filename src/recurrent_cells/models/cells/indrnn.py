"""The independently recurrent network: each hidden unit sees its own past alone."""

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from recurrent_cells.config.rules import at_least
from recurrent_cells.models.cells import Cell, Option, Shapes, State, Weights
from recurrent_cells.models.whole_steps import Tensors, WholeSteps


class IndRNNSteps(WholeSteps):
    """One gate, whose activation is h."""

    num_gates = 1

    def __init__(self, settings: Mapping[str, Any], weights: Tensors) -> None:
        (u,) = weights
        self.u = u.unsqueeze(-2)

    def forward(self, planes: Tensors, before: Tensors, after: Tensors) -> None:
        (inputs,), (h,), (h_after,) = planes, before, after
        torch.addcmul(inputs, self.u, h, out=h_after).relu_()

    def backward(self, planes: Tensors, before: Tensors, after: Tensors, d_state: Tensors) -> Tensors:
        (d_inputs,), (h_after,), (d_h,) = planes, after, d_state
        torch.ops.aten.threshold_backward.grad_input(d_h, h_after, 0, grad_input=d_inputs)
        return (torch.mul(d_inputs, self.u, out=d_h),)

    def weight_gradients(self, d_planes: Tensors, before: Tensors, after: Tensors) -> Tensors:
        return [(d_planes[0] * before[0]).sum(dim=1)]


class IndRNN(Cell):
    """h' = relu(W x + b + u h), the product with u taken unit by unit.

    W (H, F), b (H,) and u (H,): H (F + 2) parameters. Whatever `model.init` says, u starts uniformly between 0 and
    2^(1/T), so that over T steps no gradient grows more than twofold; the paper also keeps u within that bound in
    training, which is not done here.
    """

    name, label, color = "indrnn", "IndRNN", "#E69F00"
    source = "Li et al. 2018, Independently recurrent neural network (IndRNN): building a longer and deeper RNN"
    options: ClassVar = {"steps": Option(784, "T of 2^(1/T), the largest recurrent weight at the start", at_least(1))}
    routes = ("steps",)
    whole_steps = IndRNNSteps

    def shapes(self, input_size: int, hidden_size: int) -> Shapes:
        return {"weight_ih": (hidden_size, input_size), "weight_hh": (hidden_size,), "bias_ih": (hidden_size,)}

    def step(self, inputs: Tensor, state: State, weights: Weights) -> State:
        (h,) = state
        return ((inputs + weights["weight_hh"].unsqueeze(-2) * h).relu(),)

    def initialize(self, weights: Weights, init: str, forget_bias: float | None) -> None:
        super().initialize(weights, init, forget_bias)
        nn.init.uniform_(weights["weight_hh"], 0.0, 2.0 ** (1.0 / self.settings["steps"]))
