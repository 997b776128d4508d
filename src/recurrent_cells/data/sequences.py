"""From images to sequences: scaling, and the order in which pixels reach the network."""

import hashlib
import math
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from recurrent_cells.config.schema import DataConfig
from recurrent_cells.data.permutations import permutation
from recurrent_cells.errors import UserError
from recurrent_cells.lengths import in_padding, without_padding


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
    order: Tensor | None = None

    def __call__(self, pixels: Tensor) -> Tensor:
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

    def image(self, sequence: Tensor, size: tuple[int, int]) -> Tensor:
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
    return Reading(data.sequence, data.patch, None if order is None else torch.from_numpy(order))


class Normalizer:
    """Scales values to float32: `none` leaves them, `unit` divides bytes by 255, `standard` gives the training
    values mean 0 and standard deviation 1: bytes over all of them, numbers by feature over the valid steps.

    Args:
        training: (N, T, F).
        lengths: valid steps of each (N,); None where all have T.
    """

    def __init__(self, normalize: str, training: Tensor, lengths: Tensor | None = None) -> None:
        is_bytes = training.dtype == torch.uint8
        self.offset: float | Tensor = 0.0
        self.scale: float | Tensor = 255.0 if is_bytes and normalize != "none" else 1.0
        if normalize == "standard" and not is_bytes:
            steps = training.flatten(0, 1) if lengths is None else training[~in_padding(lengths, training.shape[1])]
            deviation = steps.double().std(dim=0, correction=0).clamp(min=torch.finfo(torch.float32).tiny)
            self.offset = steps.mean(dim=0, dtype=torch.float64).float()
            self.scale = torch.where(steps.amin(dim=0) < steps.amax(dim=0), deviation, 1.0).float()
        elif normalize == "standard":
            counts = torch.bincount(training.flatten(), minlength=256).double()
            values = torch.arange(256, dtype=torch.float64)
            mean = float((counts * values).sum() / counts.sum())
            variance = float((counts * (values - mean) ** 2).sum() / counts.sum())
            self.offset, self.scale = mean, max(variance**0.5, 1e-6)

    def __call__(self, sequences: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Bytes or numbers (N, T, F) → float32 (N, T, F), 0 in the padding."""
        scaled = (sequences.float() - self.offset) / self.scale
        return scaled if lengths is None else without_padding(scaled, lengths)


def as_image(
    sequence: Tensor, read: Reading, size: tuple[int, int], offset: float | Tensor, scale: float | Tensor
) -> Tensor:
    """What the network read (T, F) as the image it was, bytes (H, W)."""
    return read.image((sequence.cpu().double() * scale + offset).round().clamp(0, 255).to(torch.uint8), size)
