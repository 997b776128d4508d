"""Which of several trials are best where more than one thing counts."""

import numpy as np
from numpy.typing import ArrayLike, NDArray


def fronts(points: ArrayLike) -> NDArray[np.int64]:
    """The front of each point: 0 where no other point is at least as good in all and better in one, 1 without those, …

    Non-dominated sorting: Deb et al. (2002), NSGA-II.

    Args:
        points: (N, objectives), larger is better.

    Returns:
        (N,).
    """
    values = np.asarray(points, dtype=float)
    no_worse = (values[:, None] >= values[None]).all(axis=-1)
    dominates = no_worse & ~no_worse.T  # (N, N): whether the first is better than the second
    found = np.full(len(values), -1)
    front = 0
    while (left := found < 0).any():
        found[left & ~np.any(dominates & left[:, None], axis=0)] = front
        front += 1
    return found


def better(points: ArrayLike, point: ArrayLike) -> int:
    """How many of the points are of a better front than `point`, which is sorted with them."""
    found = fronts(np.vstack([np.atleast_2d(np.asarray(points, dtype=float)), point]))
    return int((found[:-1] < found[-1]).sum())
