"""The recurrent cells.

A new one is a class with the interface of torch.nn.RNNBase, an entry here and a file in conf/model.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Cell:
    """`layer` is the import path of its stacked layers, `color` that of its curves everywhere.

    `fast_layer` is that of the same layers made faster, where there are such.
    """

    layer: str
    color: str
    fast_layer: str | None = None


CELLS = {
    "simple_rnn": Cell("torch.nn.RNN", color="#D55E00", fast_layer="recurrent_cells.models.kernels.layers.FastRNN"),
    "lstm": Cell("torch.nn.LSTM", color="#0072B2"),
    "gru": Cell("torch.nn.GRU", color="#009E73", fast_layer="recurrent_cells.models.kernels.layers.FastGRU"),
}
