"""What stands between the sequences and the recurrent layers.

Shapes are counted from the end, so that stacked networks may lead with a dimension of their own.
"""

from torch import Tensor, nn


class LinearFrontEnd(nn.Module):
    """A linear projection at every step, (B, T, F) → (B, T, size)."""

    def __init__(self, num_features: int, size: int) -> None:
        super().__init__()
        self.linear = nn.Linear(num_features, size)
        self.num_features = size

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x)


class ConvFrontEnd(nn.Module):
    """Two padded 3×3 convolutions, their maps read one after another: (B, T, F) → (B, size·T, F)."""

    def __init__(self, num_features: int, size: int) -> None:
        super().__init__()
        self.convolutions = nn.Sequential(
            nn.Conv2d(1, size, kernel_size=3, padding=1),
            nn.Conv2d(size, size, kernel_size=3, padding=1),
        )
        self.num_features = num_features

    def forward(self, x: Tensor) -> Tensor:
        maps = self.convolutions(x.unsqueeze(-3))  # (B, size, T, F)
        return maps.flatten(-3, -2)


class NoFrontEnd(nn.Module):
    """The sequence as it is, (B, T, F) → (B, T, F)."""

    def __init__(self, num_features: int, size: int) -> None:
        super().__init__()
        self.num_features = num_features

    def forward(self, x: Tensor) -> Tensor:
        return x


FRONT_ENDS: dict[str, type[LinearFrontEnd | ConvFrontEnd | NoFrontEnd]] = {
    "none": NoFrontEnd,
    "linear": LinearFrontEnd,
    "conv": ConvFrontEnd,
}
