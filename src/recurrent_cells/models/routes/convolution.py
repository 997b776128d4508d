"""S4D in chunks of time: within a chunk a convolution, from chunk to chunk the state.

The system of a feature is the same at every step. What the inputs of a chunk give to its outputs is one product with
the Toeplitz matrix of the response to an impulse; two smaller matrices lead from the state before a chunk to its
outputs, and from its inputs to the state after.
"""

from itertools import pairwise
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn.functional import pad

from recurrent_cells.models.cells import Weights
from recurrent_cells.models.cells.s4d import S4D
from recurrent_cells.models.routes import linear

if TYPE_CHECKING:
    from recurrent_cells.models.layers import RecurrentLayers

STEPS = 32


def fits(layers: "RecurrentLayers", x: Tensor, lengths: Tensor | None) -> bool:
    """Autocast would lower the precision of the state."""
    can_scan = linear.fits(layers, x, lengths)
    return can_scan and isinstance(layers.cell, S4D) and not torch.is_autocast_enabled(x.device.type)


def layer(cell: S4D, x: Tensor, weights: Weights, hidden_size: int, reverse: bool) -> tuple[Tensor, Tensor]:
    """(…, T, B, F) → (…, T, B, H), and the output of the last step taken (…, B, H)."""
    inputs = cell.inputs(x.flip(-3) if reverse else x, weights)
    u = inputs.flatten(-3, -2).mT.contiguous().unflatten(-1, x.shape[-3:-1])
    outputs = _convolve(cell, u, weights).flatten(-2)
    if outputs.requires_grad:
        # Its gradient is laid out once, and not by every product.
        outputs.register_hook(lambda gradient: gradient if gradient is None else gradient.contiguous())
    steps = outputs.mT.unflatten(-2, x.shape[-3:-1])
    return steps.flip(-3) if reverse else steps, steps[..., -1, :, :]


def _convolve(cell: S4D, u: Tensor, weights: Weights) -> Tensor:
    """The outputs (…, H, T, B) of the inputs u (…, H, T, B)."""
    size = min(STEPS, u.shape[-2])
    real, imaginary = cell.powers(weights, size + 1)  # (…, H, N / 2, steps later)
    read_real, read_imaginary = (it.unsqueeze(-1) for it in cell.read(weights))
    # What the real and the imaginary part of a state give to later outputs; an input adds to all real parts.
    of_real = read_real * real + read_imaginary * imaginary
    of_imaginary = read_imaginary * real - read_real * imaginary
    from_state = torch.cat((of_real, of_imaginary), dim=-2)[..., 1:].mT
    impulse = of_real[..., :size].sum(dim=-2) + pad(weights["skip"].unsqueeze(-1), (0, size - 1))
    within = pad(impulse, (size - 1, 0)).unfold(-1, size, 1).flip(-1)
    to_state = torch.cat((real, imaginary), dim=-2)[..., :size].flip(-1)
    carried = real[..., size:], imaginary[..., size:]
    chunks = u.split(size, dim=-2)
    outputs = [torch.matmul(within, chunks[0])]
    state = torch.zeros_like(chunks[0][..., :1, :]).expand(*to_state.shape[:-1], -1)
    for before, chunk in pairwise(chunks):
        count = chunk.shape[-2]
        state = torch.matmul(to_state, before) + _turned(carried, state)
        read = torch.matmul(from_state[..., :count, :], state)
        outputs.append(read + torch.matmul(within[..., :count, :count], chunk))
    return torch.cat(outputs, dim=-2)


def _turned(factors: tuple[Tensor, Tensor], states: Tensor) -> Tensor:
    """Complex products of factors (…, N / 2, 1) and states (…, N, B), all real parts before all imaginary ones."""
    (a, b), (real, imaginary) = factors, states.chunk(2, dim=-2)
    return torch.cat((a * real - b * imaginary, a * imaginary + b * real), dim=-2)
