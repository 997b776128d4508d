"""The curves of trials as a page gets them: first all points, then those that are new."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from recurrent_cells.tracking.histories import History, read_histories
from recurrent_cells.tracking.store import Store

# Points of one metric that a page is given of all trials together, and the fewest and most of one trial.
MOST_POINTS = 50_000
FEWEST_OF_A_TRIAL, MOST_OF_A_TRIAL = 20, 200
# run id → metric → steps and values
Points = dict[str, dict[str, tuple[list[int], list[float]]]]


@dataclass(frozen=True)
class Part:
    """Points of a curve that were read together; `version` counts the looks."""

    version: int
    steps: list[int]
    values: list[float]


class Curves:
    """Of each run and metric the points that were read so far, thinned where there are many."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._parts: dict[str, dict[str, list[Part]]] = defaultdict(lambda: defaultdict(list))
        self._last_steps: dict[str, int] = defaultdict(int)

    def read(self, steps: Mapping[str, int], keys: Sequence[str], version: int, trials: int) -> None:
        """Read what is new of some runs.

        Args:
            steps: run id → the trial's budget of optimiser steps, 0 if that is not known.
            keys: the metrics.
            trials: how many share the points that a page is given.
        """
        most = min(max(MOST_POINTS // max(trials, 1), FEWEST_OF_A_TRIAL), MOST_OF_A_TRIAL)
        for run_id, histories in read_histories(self._store, list(steps), keys).items():
            for key, history in histories.items():
                self._last_steps[run_id] = max(self._last_steps[run_id], int(history.steps[-1]))
                parts = self._parts[run_id][key]
                if part := _thinned(history, parts, steps[run_id] / most, version):
                    parts.append(part)

    def last_step(self, run_id: str) -> int:
        """The last step that has a point; 0 if there is none."""
        return self._last_steps.get(run_id, 0)

    def since(self, run_ids: Iterable[str], version: int) -> Points:
        """The points that were read after a version."""
        found: Points = {}
        for run_id in run_ids:
            for key, parts in self._parts.get(run_id, {}).items():
                new = [part for part in parts if part.version > version]
                if new:
                    steps, values = ([it for part in new for it in getattr(part, name)] for name in ("steps", "values"))
                    found.setdefault(run_id, {})[key] = steps, values
        return found


def _thinned(history: History, parts: Sequence[Part], stride: float, version: int) -> Part | None:
    """The finite points after those that are known, about one in each stride of steps."""
    last = parts[-1].steps[-1] if parts else -1
    chosen = np.isfinite(history.values) & (history.steps > last)
    steps, values = history.steps[chosen], history.values[chosen]
    if stride > 1 and len(steps):
        places = np.append(last, steps) // stride
        kept = places[1:] != places[:-1]
        steps, values = steps[kept], values[kept]
    if not len(steps):
        return None
    return Part(version, steps.astype(int).tolist(), [float(f"{value:.6g}") for value in values])
