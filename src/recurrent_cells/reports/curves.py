"""Curves of several seeds on one axis: mean and range by step, epoch or second."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recurrent_cells.tracking.histories import Histories, History

STEP, EPOCH, SECONDS = "optimiser step", "epoch", "seconds of training"
X_AXES = (STEP, EPOCH, SECONDS)
MOST_POINTS = 400
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Band:
    """Mean, lowest and highest over seeds where all of them have values; each (n,)."""

    x: Floats
    mean: Floats
    low: Floats
    high: Floats


def band(histories: Histories, run_ids: Sequence[str], metric: str, x_axis: str) -> Band | None:
    """The curves of several runs joined; None if there are none, or they share no stretch of the axis."""
    curves = []
    for run_id in run_ids:
        own = histories.get(run_id, {})
        if metric in own:
            xs = _along(own, own[metric].steps, x_axis)
            known = np.isfinite(own[metric].values) & np.isfinite(xs)
            if known.any():
                curves.append((xs[known], own[metric].values[known]))
    if not curves:
        return None
    low, high = max(xs[0] for xs, _ in curves), min(xs[-1] for xs, _ in curves)
    if low > high:
        return None
    grid = np.unique(np.concatenate([xs for xs, _ in curves]))
    grid = grid[(grid >= low) & (grid <= high)]
    if len(grid) > MOST_POINTS:
        grid = grid[np.linspace(0, len(grid) - 1, MOST_POINTS).round().astype(int)]
    values = np.stack([np.interp(grid, xs, ys) for xs, ys in curves])
    return Band(grid, values.mean(axis=0), values.min(axis=0), values.max(axis=0))


def _along(own: dict[str, History], steps: Floats, x_axis: str) -> Floats:
    """Steps as epochs or seconds, NaN if the run has not logged them."""
    if x_axis == STEP:
        return steps
    if "epoch" not in own:
        return np.full(len(steps), np.nan)
    if x_axis == EPOCH:
        return np.asarray(np.interp(steps, np.append(0, own["epoch"].steps), np.append(0, own["epoch"].values)))
    if "epoch_seconds" not in own:
        return np.full(len(steps), np.nan)
    pace = own["epoch_seconds"]  # seconds an epoch would take, measured between two evaluations
    epochs = np.interp(pace.steps, own["epoch"].steps, own["epoch"].values)
    passed = np.cumsum(np.nan_to_num(pace.values) * np.diff(epochs, prepend=0))
    return np.asarray(np.interp(steps, np.append(0, pace.steps), np.append(0, passed)))
