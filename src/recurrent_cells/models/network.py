"""A network from values as they come to answers: all that is needed to use it elsewhere."""

import torch
from torch import Tensor, nn

from recurrent_cells.data.reading import Reading
from recurrent_cells.lengths import without_padding
from recurrent_cells.models.classifier import Classifier
from recurrent_cells.tasks import Task


class Network(nn.Module):
    """Images or series → the answers that count, of which one is that after the last step.

    Args:
        reading: how images are read, as in training.
        offset, scale: of the values, as in training; (F,) where by feature.
        is_image: whether values are images.
        has_lengths: whether series may end before the array does: NaN stands after their last steps.

    Shapes:
        images (N, H, W), bytes 0 … 255 of any number type, or series (N, T, F) → logits or numbers (N, O), or
        (N, T, O) where each step has a target.
    """

    offset: float | Tensor
    scale: float | Tensor

    def __init__(
        self,
        classifier: Classifier,
        task: Task,
        reading: Reading,
        offset: float | Tensor,
        scale: float | Tensor,
        is_image: bool = True,
        has_lengths: bool = False,
    ) -> None:
        super().__init__()
        self.classifier, self.task = classifier, task
        self.reading, self.is_image, self.has_lengths = reading, is_image, has_lengths
        for name, value in (("offset", offset), ("scale", scale)):
            if isinstance(value, Tensor):
                self.register_buffer(name, value, persistent=False)
            else:
                setattr(self, name, value)

    @property
    def takes_any_steps(self) -> bool:
        """Whether series may have any number of steps: theirs are those of the classifier."""
        return not self.is_image and self.reading.sequence == "rows" and self.classifier.takes_any_steps

    def read(self, values: Tensor) -> tuple[Tensor, ...]:
        """What the classifier reads: sequences (N, T, F), and lengths (N,) where there are any."""
        sequences = (self.reading(values).float() - self.offset) / self.scale
        if not self.has_lengths:
            return (sequences,)
        lengths = lengths_of(values)
        return without_padding(sequences, lengths), lengths

    def forward(self, values: Tensor) -> Tensor:
        sequences, *lengths = self.read(values)
        return self.task.final(self.classifier(sequences, *lengths), *lengths)


def with_probabilities(network: Network) -> nn.Module:
    """The same network with probabilities in the place of logits."""
    return nn.Sequential(network, nn.Softmax(dim=-1))


def lengths_of(series: Tensor) -> Tensor:
    """Valid steps (N,), at least 1, of series (N, T, F) that have NaN after their last steps."""
    steps = torch.arange(1, series.shape[1] + 1, device=series.device)
    return (steps * ~series.isnan().all(dim=2)).amax(dim=1).clamp(min=1)
