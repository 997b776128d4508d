"""From images to sequences: scaling, and the order in which pixels reach the network."""

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def as_sequences(values: NDArray[Any], sequence: str) -> Tensor:
    """Read images (N, H, W) as sequences (N, T, F) of the same type, as `read_as` does."""
    return read_as(torch.from_numpy(np.array(values)), sequence)


def read_as(pixels: Tensor, sequence: str) -> Tensor:
    """Read images (N, H, W) as sequences (N, T, F).

    `rows`: step t is row t, T = H and F = W. `columns`: step t is column t, T = W and F = H.
    `image`: one step has it all, T = 1 and F = H·W.
    """
    if sequence == "rows":
        return pixels
    if sequence == "columns":
        return pixels.transpose(1, 2).contiguous()
    if sequence == "image":
        return pixels.flatten(1).unsqueeze(1)
    raise ValueError(f"unknown sequence {sequence!r}")


def valid_steps(lengths: Tensor, num_steps: int) -> Tensor:
    """Which steps are no padding: lengths (N,) → (N, T)."""
    return torch.arange(num_steps, device=lengths.device) < lengths.unsqueeze(1)


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
            steps = training.flatten(0, 1) if lengths is None else training[valid_steps(lengths, training.shape[1])]
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
        if lengths is None:
            return scaled
        return scaled.masked_fill(~valid_steps(lengths, scaled.shape[1]).unsqueeze(-1), 0.0)


def as_image(sequence: Tensor, order: str, offset: float | Tensor, scale: float | Tensor) -> Tensor:
    """What the network read (T, F) as the image it was, bytes (H, W); one step is taken for a square image."""
    pixels = (sequence.cpu().double() * scale + offset).round().clamp(0, 255).to(torch.uint8)
    if order == "columns":
        return pixels.T
    side = math.isqrt(pixels.numel())
    return pixels.view(side, side) if order == "image" and side**2 == pixels.numel() else pixels
