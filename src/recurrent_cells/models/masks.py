"""Dropout masks as a function of seeds and places, of many networks at once.

A generator draws for one network after another, and a CUDA graph would have it draw the same again. A hash of a counter
does neither.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

# Steele, Lea and Flood 2014, Fast splittable pseudorandom number generators: the counter's step and its mixing.
STEP = 0x9E3779B97F4A7C15 - (1 << 64)
MIXING = ((30, 0xBF58476D1CE4E5B9 - (1 << 64)), (27, 0x94D049BB133111EB - (1 << 64)))


# Between the seeds of two layers.
SEEDS_APART = 0x2545F4914F6CDD1D


def is_hashed(device: torch.device) -> bool:
    """Whether masks follow from seeds and not from generators."""
    return device.type == "cuda"


class HashedDropout(nn.Dropout):
    """Dropout of K networks by `seeds` (K,) and the `place` of the layer in its network.

    Args:
        probabilities: of each network.

    Shapes:
        (K, …) → (K, …); of one network (…) → (…).
    """

    def __init__(self, probabilities: Sequence[float], seeds: Tensor, place: int) -> None:
        super().__init__(max(probabilities))
        self._seeds, self._place = seeds, int(SEEDS_APART * place) % (1 << 62)
        self._dropped_at = dropped_at(probabilities, seeds.device)
        scales = [[1 / (1 - p)] for p in probabilities]
        self._scale = torch.tensor(scales, dtype=torch.float64, device=seeds.device)

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.p == 0:
            return x
        rows = x.reshape(len(self._seeds), -1)
        is_kept = random_bits(self._seeds + self._place, rows.shape[1]) >= self._dropped_at
        return torch.where(is_kept, rows * self._scale.to(x.dtype), 0.0).view(x.shape)


def hash_dropout(network: nn.Module, seeds: Tensor) -> None:
    """Have a network drop by `seeds` (1,) what it drops as one of a stack."""
    for place, (name, module) in enumerate(list(network.named_modules())):
        if isinstance(module, nn.Dropout) and module.p > 0:
            network.set_submodule(name, HashedDropout([module.p], seeds, place))


def random_bits(seeds: Tensor, count: int) -> Tensor:
    """Integers (K, count), each of 64 bits, from seeds (K,)."""
    places = torch.arange(1, count + 1, device=seeds.device).mul_(STEP)
    bits = seeds.unsqueeze(1) + places
    for shift, factor in MIXING:
        bits.bitwise_xor_(_shifted(bits, shift)).mul_(factor)
    return bits.bitwise_xor_(_shifted(bits, 31))


def dropped_at(probabilities: Sequence[float], device: torch.device) -> Tensor:
    """The integers (K, 1) below which random bits lie with these probabilities."""
    return torch.tensor([[int(p * 2**64) - (1 << 63)] for p in probabilities], device=device)


def _shifted(bits: Tensor, count: int) -> Tensor:
    """Shifted to the right, zeros coming in."""
    return (bits >> count).bitwise_and_((1 << (64 - count)) - 1)
