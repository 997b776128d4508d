"""Cells beside loops written from the papers' equations."""

from collections.abc import Callable

import torch
from torch import Tensor

from recurrent_cells.models.layers import RecurrentLayers

# Outputs (T, H) of one sequence (T, F) with the cell's weights, in float64.
Loop = Callable[[Tensor, dict[str, Tensor]], Tensor]


def assert_is_the_loop(cell: str, loop: Loop, **options) -> None:
    """Outputs and all gradients of a layer, computed by every route that it has on a CPU, are those of the loop."""
    for kernel in ("reference", "auto"):
        torch.manual_seed(0)
        layers = RecurrentLayers(cell, 3, 5, kernel=kernel, options=options)
        layers.initialize("torch", None)
        layers.double()
        x = torch.randn(2, 6, 3, dtype=torch.float64)
        weights = dict(layers.weights(0, ""))
        expected = torch.stack([loop(sequence, weights) for sequence in x])
        found, last = layers(x)
        torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-12)
        torch.testing.assert_close(last[0], expected[:, -1], rtol=1e-10, atol=1e-12)
        of_loop = torch.autograd.grad(expected.sin().sum(), list(weights.values()))
        gradients = torch.autograd.grad(found.sin().sum(), list(weights.values()))
        torch.testing.assert_close(gradients, of_loop, rtol=1e-9, atol=1e-11)


def num_parameters(cell: str, input_size: int, hidden_size: int, **options) -> int:
    layers = RecurrentLayers(cell, input_size, hidden_size, options=options)
    return sum(parameter.numel() for parameter in layers.parameters())
