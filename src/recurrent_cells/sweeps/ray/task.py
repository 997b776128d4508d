"""What a Ray task does on a node: train a trial, or a pack of them, as if the trial had been started there."""

import io
import os
from collections.abc import Sequence
from contextlib import redirect_stderr, suppress
from dataclasses import dataclass

from recurrent_cells.config import extensions
from recurrent_cells.config.schema import Config
from recurrent_cells.interrupts import handled
from recurrent_cells.trial.claim import Train
from recurrent_cells.trial.outcome import Outcome, train_together


@dataclass(frozen=True)
class Shipment:
    """What all tasks of a sweep need of the process that starts them.

    Credentials travel in `environment`, not in Ray's runtime environment, which Ray writes into its logs.
    """

    train: Train
    most: int | None
    folder: str
    environment: dict[str, str]


def train(shipment: Shipment, configs: Sequence[Config], environment: dict[str, str]) -> tuple[list[Outcome], str]:
    """Train the trials of some configs; their outcomes, and what was written to standard error."""
    os.environ.update(shipment.environment | environment)
    with suppress(OSError):  # relative paths of the config mean the starting process's folder, where the node has it
        os.chdir(shipment.folder)
    extensions.load(configs[0].extensions)
    outcomes: dict[int, Outcome] = {}
    with io.StringIO() as said, redirect_stderr(said), handled():  # Ray cancels a task by a Ctrl-C in its process
        train_together(shipment.train, configs, shipment.most, outcomes.__setitem__)
        return [outcomes[place] for place in range(len(configs))], said.getvalue()
