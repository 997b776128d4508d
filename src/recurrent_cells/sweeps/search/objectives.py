"""What trials came to by the objectives of their search."""

import math
from collections.abc import Sequence

from recurrent_cells.statistics.fronts import fronts
from recurrent_cells.sweeps.search.settings import direction
from recurrent_cells.tracking.queries import TrialRecord


def value_of(record: TrialRecord, objective: str) -> float:
    """The value of an objective; NaN if the trial has none."""
    if objective == "n_params":
        return float(record.params["n_params"])
    value = record.seconds if objective == "seconds" else record.selection
    return math.nan if value is None else value


def front(records: Sequence[TrialRecord], objectives: Sequence[str]) -> list[TrialRecord]:
    """The Pareto front: the trials than which no other is at least as good in all objectives and better in one."""
    signs = [1.0 if direction(objective) == "maximize" else -1.0 for objective in objectives]
    points = [[sign * value_of(record, it) for sign, it in zip(signs, objectives, strict=True)] for record in records]
    return [record for record, place in zip(records, fronts(points), strict=True) if place == 0] if points else []
