"""A network from image bytes to answers: all that is needed to use it elsewhere."""

from torch import Tensor, nn

from recurrent_cells.data.sequences import Reading


class ImageClassifier(nn.Module):
    """Image bytes 0 … 255 of any number type (N, H, W) → logits (N, C) after the last step.

    Args:
        reading: how images are read, as in training.
        offset, scale: of the bytes, as in training; (F,) where by feature.
    """

    def __init__(self, classifier: nn.Module, reading: Reading, offset: float | Tensor, scale: float | Tensor) -> None:
        super().__init__()
        self.classifier = classifier
        self.reading = reading
        self.offset, self.scale = offset, scale

    def sequences(self, images: Tensor) -> Tensor:
        """Image bytes (N, H, W) as what the classifier reads (N, T, F)."""
        return (self.reading(images).float() - self.offset) / self.scale

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.sequences(images))
        return logits if logits.dim() == 2 else logits[:, -1]


def with_probabilities(network: ImageClassifier) -> nn.Module:
    """Image bytes (N, H, W) → probabilities (N, C)."""
    return nn.Sequential(network, nn.Softmax(dim=1))
