"""Ways to train one network on images in memory, each in a process of its own so that they can be timed in turn."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from typing import Any


@dataclass(frozen=True)
class Network:
    """What every contender trains: stacked layers of one cell and a linear readout of the last step.

    Args:
        precision: 32-true, bf16-mixed or 16-mixed, the same for every contender.
        tf32: on a GPU: products of float32 in TF32.
    """

    cell: str
    hidden_size: int
    batch_size: int
    num_layers: int = 1
    precision: str = "32-true"
    tf32: bool = False

    @property
    def title(self) -> str:
        cell = {"simple_rnn": "SimpleRNN", "lstm": "LSTM", "gru": "GRU"}[self.cell]
        layers = f"{self.num_layers} × " if self.num_layers > 1 else ""
        return f"{cell} {layers}{self.hidden_size}, batch {self.batch_size}"

    def told(self) -> dict[str, Any]:
        """The fields that are not the defaults: all that an earlier version of a contender may know."""
        defaults = {field.name: field.default for field in fields(self)}
        return {name: value for name, value in asdict(self).items() if value != defaults[name]}


# Trains so many steps and returns the seconds that one of them took.
Round = Callable[[int], float]
# Makes rounds from a network, sequences (N, T, F) in float32 and labels (N,).
Prepare = Callable[[Network, Any, Any], Round]
