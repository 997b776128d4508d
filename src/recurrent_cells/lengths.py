"""Sequences of different lengths, padded after their last valid steps.

Shapes: lengths (…, B), 1 to T, of values (…, B, T, F).
"""

import torch
from torch import Tensor

# The class of a step at which none is asked for.
NOT_ASKED = -1


def in_padding(lengths: Tensor, num_steps: int) -> Tensor:
    """Which of T steps are padding, (…, B, T)."""
    return torch.arange(num_steps, device=lengths.device) >= lengths.unsqueeze(-1)


def without_padding(values: Tensor, lengths: Tensor) -> Tensor:
    """The same values with zeros in the padding, whatever stood there."""
    return values.masked_fill(in_padding(lengths, values.shape[-2]).unsqueeze(-1), 0.0)


def last_valid(values: Tensor, lengths: Tensor) -> Tensor:
    """The values at the last valid steps, (…, B, F)."""
    # Not gathered: the gradient of a gather, deterministic on a GPU, reads from the host and cannot be in a CUDA graph.
    is_last = torch.arange(values.shape[-2], device=lengths.device) == lengths.unsqueeze(-1) - 1
    return torch.where(is_last.unsqueeze(-1), values, 0.0).sum(dim=-2)
