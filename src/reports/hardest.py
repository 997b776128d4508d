"""The test images that were hardest for the best trial."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from src.reports.configurations import SELECTION
from src.reports.data import FinishedTrial
from src.tracking.queries import read_artifact
from src.tracking.store import Store

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


def best_trial(trials: Sequence[FinishedTrial]) -> FinishedTrial:
    """The one with the highest validation accuracy, the first of equals."""
    return max(trials, key=lambda trial: _finite(trial.record.metrics.get(SELECTION.name)))


def read_hardest(store: Store, trial: FinishedTrial) -> list[HardImage]:
    """The images a trial gave its labels the least probability on, least first; empty if it left none."""
    text = read_artifact(store, trial.run_id, trial.record.artifact_uri, FILE)
    found = json.loads(text) if text else []
    return [HardImage(**entry | {"pixels": np.array(entry["pixels"], dtype=np.uint8)}) for entry in found]


def _finite(value: float | None) -> float:
    return value if value is not None and math.isfinite(value) else -math.inf
