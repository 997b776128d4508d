"""DeltaNet's steps in chunks of time: within a chunk products of matrices, from chunk to chunk the state.

What a step writes at its key, u_t = β_t (v_t - S k_t), depends on what the earlier steps of its chunk have written:
u_t = β_t (v_t - S k_t - Σ_{s<t} (k_t · k_s) u_s), S being the state before the chunk. All u of a chunk are the solution
of one triangular system. Between forward and backward pass a state is kept for each chunk, and not for each step.
"""

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from recurrent_cells.models.cells import Weights
from recurrent_cells.models.cells.delta_net import DeltaNet
from recurrent_cells.models.routes import linear

if TYPE_CHECKING:
    from recurrent_cells.models.layers import RecurrentLayers

STEPS = 16


def fits(layers: "RecurrentLayers", x: Tensor, lengths: Tensor | None) -> bool:
    """Autocast would lower the precision of the state."""
    can_scan = linear.fits(layers, x, lengths)
    return can_scan and isinstance(layers.cell, DeltaNet) and not torch.is_autocast_enabled(x.device.type)


def layer(cell: DeltaNet, x: Tensor, weights: Weights, hidden_size: int, reverse: bool) -> tuple[Tensor, Tensor]:
    """(…, T, B, F) → (…, T, B, H), and the output of the last step taken (…, B, H)."""
    planes = cell.of_heads(x.flip(-3) if reverse else x, weights)
    parts = [it.movedim(-4, -2).contiguous() for it in planes]  # (…, B, heads, T, …)
    units = parts[0].shape[-1]
    state = parts[0].new_zeros(*parts[0].shape[:-2], units, units)
    outputs = []
    for q, k, v, rate in zip(*(it.split(STEPS, dim=-2) for it in parts), strict=True):
        seen = rate * torch.matmul(k, k.mT).tril(-1)
        written = torch.linalg.solve_triangular(
            seen, rate * (v - torch.matmul(k, state.mT)), upper=False, unitriangular=True
        )
        outputs.append(torch.matmul(q, state.mT) + torch.matmul(torch.matmul(q, k.mT).tril(), written))
        state = state + torch.matmul(written.mT, k)
    steps = torch.cat(outputs, dim=-2).movedim(-2, -4).flatten(-2)
    last = steps[..., -1, :, :]
    return steps.flip(-3) if reverse else steps, last
