"""SimpleRNN."""

from typing import ClassVar


class SimpleRNN:
    """What reports, the server and MLflow's pages show of the cell."""

    name: ClassVar[str] = "simple_rnn"
    label: ClassVar[str] = "SimpleRNN"
    color: ClassVar[str] = "#D55E00"
