"""Where the networks were wrong: confusion matrices over seeds and the most confused classes."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recurrent_cells.reports.configurations import Configuration
from recurrent_cells.tracking.queries import read_artifact
from recurrent_cells.tracking.store import Store

FILE = "confusion_matrix.csv"
MOST_SEEDS = 20


@dataclass(frozen=True)
class Confusion:
    """Counts over seeds, rows labels and columns answers (C, C); `seeds` of them, each of `images` test images."""

    counts: NDArray[np.int64]
    seeds: int
    images: int


def read_confusion(store: Store, one: Configuration) -> Confusion | None:
    """The sum over a configuration's first 20 seeds; None where there are no matrices."""
    matrices = []
    for trial in one.trials[:MOST_SEEDS]:
        text = read_artifact(store, trial.run_id, trial.record.artifact_uri, FILE)
        if text:
            matrices.append(np.array([line.split(",") for line in text.split()], dtype=np.int64))
    if not matrices or len({matrix.shape for matrix in matrices}) > 1:
        return None
    return Confusion(np.sum(matrices, axis=0), len(matrices), int(matrices[0].sum()))


def most_confused(confusions: Sequence[Confusion], count: int = 8) -> list[tuple[int, int, list[float]]]:
    """The pairs (label, answer) most often confused over all, with the share of the label's images for each."""
    shares = [it.counts / np.maximum(it.counts.sum(axis=1, keepdims=True), 1) for it in confusions]
    mean = np.mean(shares, axis=0)
    np.fill_diagonal(mean, 0)
    found = []
    for place in np.argsort(-mean, axis=None, kind="stable")[:count]:
        label, answer = divmod(int(place), len(mean))
        if mean[label, answer] > 0:
            found.append((label, answer, [float(share[label, answer]) for share in shares]))
    return found
