"""Initialisations by name."""

from torch import nn

from recurrent_cells.models.block import ResidualBlocks
from recurrent_cells.models.layers import RecurrentLayers


def initialize(model: nn.Module, init: str, forget_bias: float | None = None) -> None:
    """Set every weight of a model in place.

    `torch` keeps the library's default. `keras` is that of Keras 3: Glorot-uniform input weights and linear layers,
    orthogonal recurrent weights, zero biases, an LSTM's forget bias 1. `normal` is `keras` with the linear layers of
    front end and head drawn from N(0, 1) and their biases 0.1. `forget_bias` then sets the LSTM's by itself.
    """
    within = {it for block in model.modules() if isinstance(block, ResidualBlocks) for it in block.modules()}
    for module in model.modules():
        if isinstance(module, RecurrentLayers):
            module.initialize(init, forget_bias)
        elif isinstance(module, nn.Linear) and init == "normal" and module not in within:
            nn.init.normal_(module.weight)
            nn.init.constant_(module.bias, 0.1)
        elif isinstance(module, nn.Linear | nn.Conv2d) and init != "torch":
            nn.init.xavier_uniform_(module.weight)
            assert module.bias is not None
            nn.init.zeros_(module.bias)
