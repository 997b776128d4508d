"""The outcome of each trial on each test example, where the trials of a comparison have left it."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
from numpy.typing import NDArray

from recurrent_cells.reports.configurations import Configuration
from recurrent_cells.reports.metric import Metric
from recurrent_cells.tracking import artifacts
from recurrent_cells.tracking.names import Curve
from recurrent_cells.tracking.queries import TrialRecord
from recurrent_cells.tracking.server import REQUESTS_AT_ONCE
from recurrent_cells.tracking.store import Store


def read_outcomes(store: Store, compared: Sequence[Configuration], metric: Metric) -> dict[str, NDArray[np.float64]]:
    """label → outcomes of its trials on the test examples (seeds, examples); empty where a trial has left none.

    Also empty for another metric than the one the outcomes are of.
    """
    found = {}
    for one in compared:
        records = [trial.record for trial in one.trials if trial.seed in one.values(metric)]
        if any(metric.name != Curve.test(record.metric) for record in records):
            return {}
        rows = _rows(store, records)
        whole = [row for row in rows if row is not None]
        if len(whole) < len(rows) or len({len(row) for row in whole}) > 1:
            return {}
        if whole:
            found[one.label] = np.stack(whole)
    return found if len({rows.shape[1] for rows in found.values()}) == 1 else {}


def _rows(store: Store, records: Sequence[TrialRecord]) -> list[NDArray[np.float64] | None]:
    """The outcomes of each trial, no more than the first where that has left none."""
    first = [artifacts.read_outcomes(store, record) for record in records[:1]]
    if not first or first[0] is None:
        return first
    with ThreadPoolExecutor(REQUESTS_AT_ONCE) as pool:
        return [*first, *pool.map(partial(artifacts.read_outcomes, store), records[1:])]
