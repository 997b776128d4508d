"""torch's own layers for one network: oneDNN or loops in C++ on a CPU, cuDNN on a GPU."""

from itertools import product
from typing import TYPE_CHECKING

import torch
from torch import _VF, Tensor
from torch.backends.cudnn.rnn import get_cudnn_mode

if TYPE_CHECKING:
    from recurrent_cells.models.layers import RecurrentLayers

MODES = {"simple_rnn": "RNN_TANH", "lstm": "LSTM", "gru": "GRU"}


def fits(layers: "RecurrentLayers", x: Tensor, lengths: Tensor | None) -> bool:
    backward_in_padding = lengths is not None and len(layers.suffixes) > 1
    return x.dim() == 3 and not backward_in_padding and not _lacks_bfloat16(layers, x)


def stack(layers: "RecurrentLayers", x: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
    """All layers: (B, T, F) → (B, T, D·H), and the last state of the last layer in each direction, (B, H)."""
    mode, directions = MODES[layers.cell.name], len(layers.suffixes)
    zeros = x.new_zeros(layers.num_layers * directions, x.shape[0], layers.hidden_size)
    outputs, last, *_ = getattr(_VF, mode.lower())(
        x,
        (zeros, zeros) if mode == "LSTM" else zeros,
        _flat_weights(layers),
        True,  # biases
        layers.num_layers,
        layers.dropout.p,
        layers.training,
        directions > 1,
        True,  # batch first
    )
    last = last.flatten(0, -3)  # where an LSTM is exported torch 2.11 has one dimension too many
    return outputs, last.unbind()[-directions:]


def flatten(layers: "RecurrentLayers") -> None:
    """Lay the weights of one network out in one piece of a GPU's memory, as cuDNN wants them."""
    weights = _flat_weights(layers)
    acceptable = (it.dim() <= 2 and torch.backends.cudnn.is_acceptable(it) for it in weights)
    if "torch" not in layers.cell.routes or not all(acceptable):
        return
    with torch.cuda.device_of(weights[0]), torch.no_grad():
        torch._cudnn_rnn_flatten_weight(
            weights,
            4,  # a layer and direction
            weights[0].shape[1],
            get_cudnn_mode(MODES[layers.cell.name]),
            layers.hidden_size,
            0,  # no projection
            layers.num_layers,
            True,  # batch first
            len(layers.suffixes) > 1,
        )


def _flat_weights(layers: "RecurrentLayers") -> list[Tensor]:
    parts = product(range(layers.num_layers), layers.suffixes)
    return [weight for layer, suffix in parts for weight in layers.weights(layer, suffix).values()]


def _lacks_bfloat16(layers: "RecurrentLayers", x: Tensor) -> bool:
    """Whether this is oneDNN's LSTM in a precision that the CPU does not have: its primitive would fail."""
    return (
        layers.cell.name == "lstm"
        and x.device.type == "cpu"
        and torch.is_autocast_enabled("cpu")
        and torch.backends.mkldnn.is_available()
        and not torch.ops.mkldnn._is_mkldnn_bf16_supported()
    )
