"""Where the networks were wrong: confusion matrices over seeds and the most confused classes."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recurrent_cells.reports.configurations import Configuration
from recurrent_cells.tasks.classification import UNEVEN
from recurrent_cells.tracking import artifacts
from recurrent_cells.tracking.store import Store

MOST_SEEDS = 20
MOST_CONFUSED = 8


@dataclass(frozen=True)
class Confusion:
    """Counts (C, C) summed over `seeds` trials, each tested on `images` examples: rows are labels, columns answers."""

    counts: NDArray[np.int64]
    seeds: int
    images: int
    names: tuple[str, ...] | None = None

    def name(self, label: int) -> str:
        return str(label) if self.names is None else self.names[label]

    @property
    def shares(self) -> NDArray[np.float64]:
        """Of each label's images the share that each answer got."""
        return np.asarray(self.counts / np.maximum(self.counts.sum(axis=1, keepdims=True), 1))

    @property
    def recalls(self) -> dict[str, float]:
        """The share of right answers to the examples of each class that is tested."""
        return {
            self.name(label): float(self.shares[label, label])
            for label in np.flatnonzero(self.counts.sum(axis=1)).tolist()
        }

    @property
    def is_uneven(self) -> bool:
        """Whether the largest class that is tested has several times the examples of the smallest."""
        counts = self.counts.sum(axis=1)
        tested = counts[counts > 0]
        return len(tested) > 0 and bool(tested.max() >= UNEVEN * tested.min())

    @property
    def worst(self) -> float:
        """The largest share of a label that one wrong answer got."""
        return float(np.where(np.eye(len(self.counts), dtype=bool), 0, self.shares).max())


def read_confusion(store: Store, configuration: Configuration) -> Confusion | None:
    """The sum over a configuration's first 20 seeds; None where there are no matrices."""
    found = (artifacts.read_confusion(store, trial.record) for trial in configuration.trials[:MOST_SEEDS])
    known = [it for it in found if it is not None]
    if not known or len({(matrix.shape, names) for matrix, names in known}) > 1:
        return None
    matrices = [matrix for matrix, _ in known]
    return Confusion(np.sum(matrices, axis=0), len(matrices), int(matrices[0].sum()), known[0][1])


def most_confused(confusions: Sequence[Confusion]) -> list[tuple[int, int, list[float]]]:
    """The pairs (label, answer) most often confused over all, with the share of the label's images for each."""
    shares = [it.shares for it in confusions]
    mean = np.mean(shares, axis=0)
    np.fill_diagonal(mean, 0)
    found = []
    for place in np.argsort(-mean, axis=None, kind="stable")[:MOST_CONFUSED]:
        label, answer = divmod(int(place), len(mean))
        if mean[label, answer] > 0:
            found.append((label, answer, [float(share[label, answer]) for share in shares]))
    return found
