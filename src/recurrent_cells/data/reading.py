"""The order in which the pixels of images reach the network; without torch, so that faults of data are soon said."""

import hashlib
import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from recurrent_cells.config.schema import DataConfig
from recurrent_cells.data.permutations import permutation
from recurrent_cells.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, eq=False)
class Reading:
    """How images (N, H, W) are read as sequences (N, T, F).

    Args:
        sequence: `rows`: step t is row t, T = H and F = W. `columns`: step t is column t, T = W and F = H. `image`: one
            step has it all, T = 1 and F = H·W. `pixels`: row after row, T = H·W / patch and F = patch.
        patch: pixels of a step of `pixels`.
        order: of `pixels`: which is read first, second, … (H·W,); None: as they stand.
    """

    sequence: str
    patch: int = 1
    order: "Tensor | None" = None

    def __call__(self, pixels: "Tensor") -> "Tensor":
        """Images as sequences of the same type."""
        if self.sequence == "rows":
            return pixels
        if self.sequence == "columns":
            return pixels.transpose(1, 2).contiguous()
        if self.sequence == "image":
            return pixels.flatten(1).unsqueeze(1)
        if self.sequence == "pixels":
            flat = pixels.flatten(1)
            return (flat if self.order is None else flat[:, self.order]).unflatten(1, (-1, self.patch))
        raise ValueError(f"unknown sequence {self.sequence!r}")

    @cached_property
    def digest(self) -> str:
        """A digest of the order of pixels; empty if they are read as they stand."""
        return "" if self.order is None else hashlib.sha256(self.order.numpy().tobytes()).hexdigest()[:16]

    def image(self, sequence: "Tensor", size: tuple[int, int]) -> "Tensor":
        """What was read (T, F) as the image that it was (H, W); one step is taken for a square image."""
        if self.sequence == "columns":
            return sequence.T
        if self.sequence == "pixels":
            pixels = sequence.flatten()
            return (pixels if self.order is None else pixels[self.order.argsort()]).view(size)
        side = math.isqrt(sequence.numel())
        return sequence.view(side, side) if self.sequence == "image" and side**2 == sequence.numel() else sequence


def reading(data: DataConfig, size: tuple[int, int]) -> Reading:
    """How a config has images of a size read; raises UserError if its patch or permutation is for others."""
    count = size[0] * size[1]
    if data.sequence == "pixels" and count % data.patch:
        raise UserError(f"data.patch={data.patch}: allowed is what divides {count}, the pixels of an image")
    order = permutation(data.permutation, count)
    if order is None:
        return Reading(data.sequence, data.patch)
    import torch

    return Reading(data.sequence, data.patch, torch.from_numpy(order))
