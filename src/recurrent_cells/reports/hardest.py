"""The test images that were hardest for the best trial."""

import json
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recurrent_cells.tracking.queries import TrialRecord, read_artifact
from recurrent_cells.tracking.store import Store

FILE = "hardest_images.json"


@dataclass(frozen=True)
class HardImage:
    """A test image (H, W) in bytes with its place in the test file, its label and what the trial took it for."""

    index: int
    label: int
    answer: int
    probability: float
    label_probability: float
    pixels: NDArray[np.uint8]


def read_hardest(store: Store, trial: TrialRecord) -> list[HardImage]:
    """The images a trial gave its labels the least probability on, least first; empty if it left none."""
    text = read_artifact(store, trial.run_id, trial.artifact_uri, FILE)
    found = json.loads(text) if text else []
    return [HardImage(**entry | {"pixels": np.array(entry["pixels"], dtype=np.uint8)}) for entry in found]
