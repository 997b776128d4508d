"""Initialisations by name."""

import torch
from torch import nn

# Rows of weight_ih, weight_hh and bias are gates stacked in torch's order; an LSTM's are input, forget, cell, output.
NUM_GATES: dict[type[nn.Module], int] = {nn.RNN: 1, nn.LSTM: 4, nn.GRU: 3}
FORGET_GATE = 1


def initialize(model: nn.Module, init: str, forget_bias: float | None = None) -> None:
    """Set every weight of a model in place.

    `torch` keeps the library's default. `keras` is that of Keras 3: Glorot-uniform input weights and linear layers,
    orthogonal recurrent weights, zero biases, an LSTM's forget bias 1. `normal` is `keras` with every linear layer
    drawn from N(0, 1) and its bias 0.1. `forget_bias` then sets the LSTM's by itself.
    """
    for module in model.modules():
        if isinstance(module, nn.RNNBase):
            if init != "torch":
                _keras_recurrent(module)
            if isinstance(module, nn.LSTM) and (forget_bias is not None or init != "torch"):
                set_forget_bias(module, 1.0 if forget_bias is None else forget_bias)
        elif isinstance(module, nn.Linear) and init == "normal":
            nn.init.normal_(module.weight)
            nn.init.constant_(module.bias, 0.1)
        elif isinstance(module, nn.Linear | nn.Conv2d) and init != "torch":
            nn.init.xavier_uniform_(module.weight)
            assert module.bias is not None
            nn.init.zeros_(module.bias)


def _keras_recurrent(layers: nn.RNNBase) -> None:
    for name, parameter in layers.named_parameters():
        if name.startswith("weight_ih"):
            # Keras draws one kernel (F, gates·H); its fan-out counts all gates, as these rows do.
            nn.init.xavier_uniform_(parameter)
        elif name.startswith("weight_hh"):
            # Keras orthogonalises one kernel (H, gates·H).
            nn.init.orthogonal_(parameter)
        else:
            nn.init.zeros_(parameter)


def set_forget_bias(layers: nn.LSTM, value: float) -> None:
    """Make the forget gate's bias `value` in sum: torch adds two biases."""
    size = layers.hidden_size
    rows = slice(FORGET_GATE * size, (FORGET_GATE + 1) * size)
    with torch.no_grad():
        for name, parameter in layers.named_parameters():
            if name.startswith("bias_ih"):
                parameter[rows] = value
            elif name.startswith("bias_hh"):
                parameter[rows] = 0.0
