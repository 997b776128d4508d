"""Dropout masks of many networks at once, as a function of seeds and places.

A generator draws for one network after another, and a CUDA graph would have it draw the same again. A hash of a counter
does neither.
"""

import torch
from torch import Tensor

# Steele, Lea and Flood 2014, Fast splittable pseudorandom number generators: the counter's step and its mixing.
STEP = 0x9E3779B97F4A7C15 - (1 << 64)
MIXING = ((30, 0xBF58476D1CE4E5B9 - (1 << 64)), (27, 0x94D049BB133111EB - (1 << 64)))


def random_bits(seeds: Tensor, count: int) -> Tensor:
    """Integers (K, count), each of 64 bits, from seeds (K,)."""
    places = torch.arange(1, count + 1, device=seeds.device).mul_(STEP)
    bits = seeds.unsqueeze(1) + places
    for shift, factor in MIXING:
        bits.bitwise_xor_(_shifted(bits, shift)).mul_(factor)
    return bits.bitwise_xor_(_shifted(bits, 31))


def dropped_at(probabilities: list[float], device: torch.device) -> Tensor:
    """The integers (K, 1) below which random bits lie with these probabilities."""
    return torch.tensor([[int(p * 2**64) - (1 << 63)] for p in probabilities], device=device)


def _shifted(bits: Tensor, count: int) -> Tensor:
    """Shifted to the right, zeros coming in."""
    return (bits >> count).bitwise_and_((1 << (64 - count)) - 1)
