"""Trials that another machine trains: what travels with their configs, and what is done with it there."""

import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from recurrent_cells.config import extensions
from recurrent_cells.config.extensions import DIGESTS_VARIABLE
from recurrent_cells.config.schema import Config
from recurrent_cells.interrupts import handled
from recurrent_cells.tracking.checkout import CODE_VARIABLE, git_tags
from recurrent_cells.tracking.store import tracking_uri
from recurrent_cells.trial.claim import Train
from recurrent_cells.trial.outcome import Outcome, train_together


def whereabouts() -> dict[str, str]:
    """What decides, without any credentials, where trials are tracked and what they say of their code."""
    own = {name: value for name, value in os.environ.items() if name.startswith(DIGESTS_VARIABLE)}
    return own | {"MLFLOW_TRACKING_URI": tracking_uri(), CODE_VARIABLE: json.dumps(git_tags())}


@dataclass(frozen=True)
class Shipment:
    """What all trials of a sweep need of the process that starts them."""

    train: Train
    most: int | None = None
    folder: str = field(default_factory=lambda: str(Path.cwd()))
    environment: Mapping[str, str] = field(default_factory=whereabouts)

    def unpack(self) -> None:
        """Make this process track trials where the starting process does."""
        os.environ.update(self.environment)
        with suppress(OSError):  # relative paths of the config mean the starting process's folder, where it is here
            os.chdir(self.folder)

    def trained(self, configs: Sequence[Config], environment: Mapping[str, str]) -> list[Outcome]:
        """Train the trials of some configs, as if they had been started here; their outcomes."""
        self.unpack()
        os.environ.update(environment)
        extensions.load(configs[0].extensions)
        outcomes: dict[int, Outcome] = {}
        with handled():
            train_together(self.train, configs, self.most, outcomes.__setitem__)
        return [outcomes[place] for place in range(len(configs))]
