"""Stacked recurrent layers of any cell."""

from pkgutil import resolve_name

from torch import nn

from recurrent_cells.models.cells import CELLS


def recurrent_layers(
    cell: str,
    input_size: int,
    hidden_size: int,
    num_layers: int = 1,
    dropout: float = 0.0,
    bidirectional: bool = False,
    biases: int = 2,
    kernel: str = "auto",
) -> nn.RNNBase:
    """Stacked recurrent layers, (B, T, input_size) → (B, T, D·hidden_size) with D = 2 if bidirectional.

    With `biases=1` the second bias of each gate stays zero and is not trained, as in Keras and TensorFlow
    (where a GRU then applies its reset gate before the recurrent product; here, as in cuDNN, after it).
    """
    layer = CELLS[cell].fast_layer if kernel == "auto" else None
    layers: nn.RNNBase = resolve_name(layer or CELLS[cell].layer)(
        input_size,
        hidden_size,
        num_layers=num_layers,
        dropout=dropout if num_layers > 1 else 0.0,
        bidirectional=bidirectional,
        batch_first=True,
    )
    if biases == 1:
        for name, parameter in layers.named_parameters():
            if name.startswith("bias_hh"):
                parameter.requires_grad_(False)
                nn.init.zeros_(parameter)
    return layers
