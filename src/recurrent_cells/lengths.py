"""Sequences of different lengths, padded after their last valid steps.

Shapes: lengths (…, B), 1 to T, of values (…, B, T, F).
"""

from typing import Any

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
    last: Tensor = _LastValid.apply(values, lengths)
    return last


class _LastValid(torch.autograd.Function):
    """A gather whose gradient is no scatter, which, deterministic on a GPU, cannot be in a CUDA graph."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, lengths: Tensor) -> Tensor:
        ctx.save_for_backward(lengths)
        ctx.num_steps = values.shape[-2]
        at = (lengths - 1)[..., None, None].expand(*lengths.shape, 1, values.shape[-1])
        return values.gather(-2, at).squeeze(-2)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (lengths,) = ctx.saved_tensors
        is_last = torch.arange(ctx.num_steps, device=lengths.device) == lengths.unsqueeze(-1) - 1
        return is_last.unsqueeze(-1).to(gradient.dtype) * gradient.unsqueeze(-2), None
