"""From values to sequences ready to train on, and back to images: scaling."""

import torch
from torch import Tensor

from recurrent_cells.data.reading import Reading
from recurrent_cells.lengths import in_padding, without_padding


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
