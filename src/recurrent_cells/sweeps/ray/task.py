"""What a Ray task does on a node."""

import io
from collections.abc import Sequence
from contextlib import redirect_stderr

from recurrent_cells.config.schema import Config
from recurrent_cells.sweeps.shipment import Shipment
from recurrent_cells.trial.outcome import Outcome


def train(shipment: Shipment, configs: Sequence[Config], environment: dict[str, str]) -> tuple[list[Outcome], str]:
    """Train the trials of some configs; their outcomes, and what was written to standard error."""
    with io.StringIO() as said, redirect_stderr(said):
        return shipment.trained(configs, environment), said.getvalue()
