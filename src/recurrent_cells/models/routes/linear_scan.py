"""The scan of linear recurrences: on a CPU a loop with one call a step, on a GPU associative, of logarithmic depth.

Its gradient is the same scan the other way: states of steps t and t + 1 are tied by one factor in both.
"""

import torch
from torch import Tensor


def scan(links: Tensor, b: Tensor, start: Tensor | None, reverse: bool) -> Tensor:
    """States (…, T, B, S), real or complex: of the first step taken b + start, then factor times the one before + b.

    Args:
        links: the factors (…, T - 1, B, S) between each step and the next, or (…, 1, 1, S) where all are one.
        b: (…, T, B, S).
        start: (…, B, S); None is zero.
        reverse: from the last step to the first.
    """
    links = links.expand(*b.shape[:-3], b.shape[-3] - 1, *b.shape[-2:])
    if b.device.type == "cpu":
        return _loop(links, b, start, reverse)
    if reverse:
        links, b = links.flip(-3), b.flip(-3)
    if start is not None:
        b = torch.cat((b[..., :1, :, :] + start.unsqueeze(-3), b[..., 1:, :, :]), dim=-3)
    states = associative_scan(links, b)
    return states.flip(-3) if reverse else states


def _loop(links: Tensor, b: Tensor, start: Tensor | None, reverse: bool) -> Tensor:
    states = torch.empty_like(b, memory_format=torch.contiguous_format)
    factors, added, written = (list(it.unbind(-3)) for it in (links, b, states))
    if reverse:
        factors, added, written = factors[::-1], added[::-1], written[::-1]
    if start is None:
        written[0].copy_(added[0])
    else:
        torch.add(added[0], start, out=written[0])
    for factor, more, before, after in zip(factors, added[1:], written[:-1], written[1:], strict=True):
        torch.addcmul(more, factor, before, out=after)
    return states


def associative_scan(links: Tensor, b: Tensor) -> Tensor:
    """Two steps become one; the scan of these, half as long, has every second state, from which the others follow."""
    count = b.shape[-3]
    if count == 1:
        return b
    first, second = b[..., 0::2, :, :], b[..., 1::2, :, :]
    within, between = links[..., 0::2, :, :], links[..., 1::2, :, :]
    pairs = torch.addcmul(second, within, first[..., : count // 2, :, :])
    ends = associative_scan(within[..., 1:, :, :] * between[..., : count // 2 - 1, :, :], pairs)
    states = torch.empty_like(b)
    states[..., 0, :, :] = b[..., 0, :, :]
    states[..., 1::2, :, :] = ends
    states[..., 2::2, :, :] = torch.addcmul(first[..., 1:, :, :], between, ends[..., : (count - 1) // 2, :, :])
    return states
