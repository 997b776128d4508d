"""torch's own layers for one network: oneDNN or loops in C++ on a CPU, cuDNN on a GPU."""

from itertools import product
from typing import TYPE_CHECKING

import torch
from torch import _VF, Tensor
from torch.backends.cudnn.rnn import get_cudnn_mode

from recurrent_cells.models.masks import HashedDropout

if TYPE_CHECKING:
    from recurrent_cells.models.layers import RecurrentLayers

MODES = {"simple_rnn": "RNN_TANH", "lstm": "LSTM", "gru": "GRU"}


def fits(layers: "RecurrentLayers", x: Tensor, lengths: Tensor | None) -> bool:
    backward_in_padding = lengths is not None and len(layers.suffixes) > 1
    return x.dim() == 3 and not backward_in_padding and not _lacks_bfloat16(layers, x)


def stack(layers: "RecurrentLayers", x: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
    """All layers: (B, T, F) → (B, T, D·H), and the last state of the last layer in each direction, (B, H)."""
    last: tuple[Tensor, ...] = ()
    for together in _calls(layers):
        if together[0] > 0:
            # a mask is drawn for (T, B, H), as in the other routes
            x = layers.dropout(x.transpose(0, 1)).transpose(0, 1)
        x, last = _call(layers, x, together)
    return x, last


def _calls(layers: "RecurrentLayers") -> list[range]:
    """Which layers a call computes: all, but for those that hashed masks come between."""
    every = range(layers.num_layers)
    return [every[layer : layer + 1] for layer in every] if isinstance(layers.dropout, HashedDropout) else [every]


def _call(layers: "RecurrentLayers", x: Tensor, together: range) -> tuple[Tensor, tuple[Tensor, ...]]:
    mode, directions = MODES[layers.cell.name], len(layers.suffixes)
    zeros = x.new_zeros(len(together) * directions, x.shape[0], layers.hidden_size)
    outputs, last, *_ = getattr(_VF, mode.lower())(
        x,
        (zeros, zeros) if mode == "LSTM" else zeros,
        _flat_weights(layers, together),
        True,  # biases
        len(together),
        layers.dropout.p if len(together) > 1 else 0.0,
        layers.training,
        directions > 1,
        True,  # batch first
    )
    last = last.flatten(0, -3)  # where an LSTM is exported torch 2.11 has one dimension too many
    return outputs, last.unbind()[-directions:]


def flatten(layers: "RecurrentLayers") -> None:
    """Lay the weights of a call out in one piece of a GPU's memory, as cuDNN wants them."""
    for together in _calls(layers):
        weights = _flat_weights(layers, together)
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
                len(together),
                True,  # batch first
                len(layers.suffixes) > 1,
            )


def _flat_weights(layers: "RecurrentLayers", together: range) -> list[Tensor]:
    parts = product(together, layers.suffixes)
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
