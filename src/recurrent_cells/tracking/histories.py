"""Metric histories of many runs, read in bulk."""

from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from mlflow.entities import Metric
from mlflow.store.tracking.dbmodels.models import SqlMetric
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
from numpy.typing import NDArray
from sqlalchemy import String, case, cast, func, select

from recurrent_cells.tracking.store import Store
from recurrent_cells.tracking.tables import database_of

RUNS_A_QUERY = 200
REQUESTS_AT_ONCE = 8
# MLflow keeps infinity as the largest number there is.
LARGEST = 1e300


@dataclass(frozen=True)
class History:
    """A metric over optimiser steps: `steps` (n,) increasing, `values` (n,), NaN where a value was not finite."""

    steps: NDArray[np.float64]
    values: NDArray[np.float64]


Histories = dict[str, dict[str, History]]


def read_histories(store: Store, run_ids: Sequence[str], keys: Sequence[str]) -> Histories:
    """run id → metric → history, without those that have no points.

    SQLite joins the points of a run itself, since MLflow's own call makes an object of every one; other stores are
    asked for each run and metric.
    """
    backend = database_of(store)
    if backend is not None and backend.engine.dialect.name == "sqlite":
        return _from_sqlite(backend, run_ids, keys)
    return _from_server(store, run_ids, keys)


def _from_sqlite(backend: SqlAlchemyStore, run_ids: Sequence[str], keys: Sequence[str]) -> Histories:
    histories: Histories = defaultdict(dict)
    value = case((SqlMetric.is_nan, "nan"), else_=cast(SqlMetric.value, String))
    columns = [func.group_concat(column) for column in (SqlMetric.step, SqlMetric.timestamp, value)]
    with backend.engine.connect() as connection:
        for start in range(0, len(run_ids), RUNS_A_QUERY):
            chosen = list(run_ids[start : start + RUNS_A_QUERY])
            for key in keys:
                query = (
                    select(SqlMetric.run_uuid, *columns)
                    .where(SqlMetric.run_uuid.in_(chosen), SqlMetric.key == key)
                    .group_by(SqlMetric.run_uuid)
                )
                for run_id, *joined in connection.execute(query):
                    steps, timestamps, values = (np.fromstring(text, sep=",") for text in joined)
                    order = np.lexsort((timestamps, steps))
                    histories[run_id][key] = _history(steps[order], values[order])
    return dict(histories)


def _from_server(store: Store, run_ids: Sequence[str], keys: Sequence[str]) -> Histories:
    def read(asked: tuple[str, str]) -> list[Metric]:
        metrics = store.client.get_metric_history(*asked)
        return sorted(metrics, key=lambda metric: (metric.step, metric.timestamp))

    histories: Histories = defaultdict(dict)
    asked = [(run_id, key) for run_id in run_ids for key in keys]
    with ThreadPoolExecutor(REQUESTS_AT_ONCE) as pool:
        for (run_id, key), points in zip(asked, pool.map(read, asked), strict=True):
            if points:
                steps = np.array([point.step for point in points], dtype=float)
                histories[run_id][key] = _history(steps, np.array([point.value for point in points]))
    return dict(histories)


def _history(steps: NDArray[np.float64], values: NDArray[np.float64]) -> History:
    """Of points in the order of steps and then of time: the last one at each step."""
    last = np.append(steps[1:] != steps[:-1], True)
    finite = np.isfinite(values) & (np.abs(values) < LARGEST)
    return History(steps[last], np.where(finite, values, np.nan)[last])
