"""What surrounds recurrent layers, by `model.block`: nothing, or a residual block around each."""

from collections.abc import Sequence
from dataclasses import replace

import torch.nn.functional as F
from torch import Tensor, nn

from recurrent_cells.config.schema import ModelConfig
from recurrent_cells.lengths import last_valid, without_padding
from recurrent_cells.models.layers import RecurrentLayers


class ResidualBlock(nn.Module):
    """x + dropout(GLU(W layer(LayerNorm(x)) + b)), with W (2 width, width).

    Sources: Ba et al. 2016, Layer normalization; Dauphin et al. 2017, Language modeling with gated convolutional
    networks; the two around a recurrence as in Orvieto et al. 2023, Resurrecting recurrent neural networks for long
    sequences.

    Args:
        layer: one layer, from `width` features to as many.

    Shapes:
        input (…, B, T, width) and lengths (…, B) or None → (…, B, T, width), of any values in the padding.
    """

    def __init__(self, layer: RecurrentLayers, width: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.layer = layer
        self.gated = nn.Linear(width, 2 * width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, lengths: Tensor | None) -> Tensor:
        outputs, _ = self.layer(self.norm(x), lengths)
        return x + self.dropout(F.glu(self.gated(outputs), dim=-1))


class ResidualBlocks(nn.Module):
    """`num_layers` blocks, one on the outputs of the other, behind a projection of the input to their width.

    The width is D·hidden_size, in D directions. Under autocast what passes by the layers is in the type of the weights.

    Shapes:
        as RecurrentLayers: input (…, B, T, input_size) and lengths (…, B) or None → outputs (…, B, T, D·hidden_size),
        zero in the padding, and D times (…, B, hidden_size): the first part of the outputs at the last valid step and,
        in two directions, the second part of those at the first step.
    """

    def __init__(self, model: ModelConfig, input_size: int) -> None:
        super().__init__()
        self.hidden_size, width = model.hidden_size, model.hidden_size * (2 if model.bidirectional else 1)
        self.projection = nn.Linear(input_size, width)
        of_block = replace(model, num_layers=1)
        self.blocks = nn.ModuleList(
            ResidualBlock(_layers(of_block, width), width, model.dropout) for _ in range(model.num_layers)
        )

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, Sequence[Tensor]]:
        x = self.projection(x).to(self.projection.weight.dtype)
        for block in self.blocks:
            x = block(x, lengths)
        if lengths is not None:
            x = without_padding(x, lengths)
        forward, *backward = x.split(self.hidden_size, dim=-1)
        last = forward[..., -1, :] if lengths is None else last_valid(forward, lengths)
        return x, [last, *(it[..., 0, :] for it in backward)]


def recurrent_part(model: ModelConfig, input_size: int) -> RecurrentLayers | ResidualBlocks:
    """All between the front end and the readout."""
    return ResidualBlocks(model, input_size) if model.block == "residual" else _layers(model, input_size)


def _layers(model: ModelConfig, input_size: int) -> RecurrentLayers:
    return RecurrentLayers(
        model.cell,
        input_size,
        model.hidden_size,
        model.num_layers,
        model.dropout,
        model.bidirectional,
        model.biases,
        model.kernel,
        model.options,
    )
