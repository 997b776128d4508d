"""A cell's step and its gradient written by hand in torch, with the recurrent products, for model.kernel=steps."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

Tensors = Sequence[Tensor]


class WholeSteps:
    """The steps of a layer in one direction, computed in place.

    A step has a plane (K, B, H) for each gate. `forward` makes activations of the gates' inputs, `backward` makes
    gradients of the inputs of them. `before` and `after` are what is there before and after a step, (K, B, H) each: the
    cell's state, of which h is the first, and then `num_kept` more that `backward` needs.

    Args:
        settings: those of the cell.
        weights: the cell's recurrent weights (K, …), in the order of `Cell.recurrent`.
    """

    num_gates: ClassVar[int]
    num_kept: ClassVar[int] = 0
    # Whether layers on a GPU are computed so too.
    on_gpu: ClassVar[bool] = False

    def __init__(self, settings: Mapping[str, Any], weights: Tensors) -> None:
        raise NotImplementedError

    @staticmethod
    def bias(weights: Mapping[str, Tensor]) -> Tensor:
        """What is added to the inputs of all gates, (…, G·H)."""
        return weights["bias_ih"]

    def forward(self, planes: Tensors, before: Tensors, after: Tensors) -> None:
        """Write `after`, and the activations into `planes`."""
        raise NotImplementedError

    def backward(self, planes: Tensors, before: Tensors, after: Tensors, d_state: Tensors) -> Tensors:
        """The gradients of the state before from those of the state after, which may be overwritten."""
        raise NotImplementedError

    def weight_gradients(self, d_planes: Tensors, before: Tensors, after: Tensors) -> Tensors:
        """The gradients of the recurrent weights from what all steps have, (K, T·B, H) each."""
        raise NotImplementedError


def add_products(planes: Tensors, h: Tensor, weight: Tensor) -> None:
    """Add U h to the planes (K, B, H) of gates with the weights U (K, G·H, H)."""
    for plane, product in zip(planes, (h @ weight.mT).chunk(len(planes), dim=-1), strict=True):
        plane.add_(product)


def add_products_back(d_h: Tensor, d_planes: Tensors, weight: Tensor) -> Tensor:
    """What reaches h (K, B, H) through those products, added to `d_h`."""
    for d_plane, of_gate in zip(d_planes, weight.chunk(len(d_planes), dim=1), strict=True):
        d_h.add_(d_plane @ of_gate)
    return d_h


def product_gradients(d_planes: Tensors, h: Tensor) -> Tensor:
    """Those of the weights (K, G·H, H) of gates (K, T·B, H) each, whose products are with h (K, T·B, H)."""
    return torch.cat([d_plane.mT @ h for d_plane in d_planes], dim=1)


def tanh_(x: Tensor) -> Tensor:
    """tanh(x) in place as 2 sigmoid(2 x) - 1: torch's own takes three times as long on a CPU."""
    return x.mul_(2).sigmoid_().mul_(2).sub_(1)


def through_tanh(d_y: Tensor, y: Tensor) -> None:
    """Overwrite y = tanh(x) with the gradient of x."""
    torch.ops.aten.tanh_backward.grad_input(d_y, y, grad_input=y)


def through_sigmoid(d_y: Tensor, y: Tensor) -> None:
    """Overwrite y = sigmoid(x) with the gradient of x."""
    torch.ops.aten.sigmoid_backward.grad_input(d_y, y, grad_input=y)
