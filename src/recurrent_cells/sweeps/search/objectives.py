"""What trials came to by the objectives of their search."""

import math
from collections.abc import Sequence
from statistics import fmean

from recurrent_cells.statistics.fronts import fronts
from recurrent_cells.sweeps.search.settings import direction
from recurrent_cells.tracking.queries import TrialRecord


def value_of(record: TrialRecord, objective: str) -> float:
    """The value of an objective; NaN if the trial has none."""
    if objective == "n_params":
        return float(record.params["n_params"])
    value = record.seconds if objective == "seconds" else record.selection
    return math.nan if value is None else value


def mean_of(records: Sequence[TrialRecord], objective: str) -> float:
    """The mean of an objective over the seeds of a point."""
    return fmean(value_of(record, objective) for record in records)


def mean_rank(records: Sequence[TrialRecord]) -> tuple[bool, float]:
    """Orders points as `TrialRecord.rank` orders trials, by the mean over their seeds."""
    return all(record.rank[0] for record in records), fmean(record.rank[1] for record in records)


def front(points: Sequence[Sequence[TrialRecord]], objectives: Sequence[str]) -> list[bool]:
    """Which points, each of trials that differ in the seed, are on the Pareto front.

    These are the points than which no other is at least as good in all objectives and better in one.
    """
    signs = [1.0 if direction(objective) == "maximize" else -1.0 for objective in objectives]
    values = [[sign * mean_of(records, it) for sign, it in zip(signs, objectives, strict=True)] for records in points]
    return [place == 0 for place in fronts(values)] if values else []
