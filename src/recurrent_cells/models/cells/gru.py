"""GRU."""

from typing import ClassVar


class GRU:
    """What reports, the server and MLflow's pages show of the cell."""

    name: ClassVar[str] = "gru"
    label: ClassVar[str] = "GRU"
    color: ClassVar[str] = "#009E73"
