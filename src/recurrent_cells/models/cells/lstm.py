"""LSTM."""

from typing import ClassVar


class LSTM:
    """What reports, the server and MLflow's pages show of the cell."""

    name: ClassVar[str] = "lstm"
    label: ClassVar[str] = "LSTM"
    color: ClassVar[str] = "#0072B2"
