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
from sqlalchemy import case, select

from src.tracking.store import Store

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

    A database is asked with a query per 200 runs, MLflow's own call making an object of every point; a server
    is asked for each run and metric.
    """
    backend = store.client._tracking_client.store
    if isinstance(backend, SqlAlchemyStore):
        return _from_database(backend, run_ids, keys)
    return _from_server(store, run_ids, keys)


def _from_database(backend: SqlAlchemyStore, run_ids: Sequence[str], keys: Sequence[str]) -> Histories:
    histories: Histories = defaultdict(dict)
    with backend.engine.connect() as connection:
        for start in range(0, len(run_ids), RUNS_A_QUERY):
            chosen = list(run_ids[start : start + RUNS_A_QUERY])
            for key in keys:
                query = (
                    select(SqlMetric.run_uuid, SqlMetric.step, case((SqlMetric.is_nan, None), else_=SqlMetric.value))
                    .where(SqlMetric.run_uuid.in_(chosen), SqlMetric.key == key)
                    .order_by(SqlMetric.run_uuid, SqlMetric.step, SqlMetric.timestamp)
                )
                rows = connection.execute(query).fetchall()
                if not rows:
                    continue
                owners, steps, values = zip(*rows, strict=True)
                first = [0, *(n for n in range(1, len(owners)) if owners[n] != owners[n - 1])]
                parts = zip(_split(steps, first), _split(values, first), strict=True)
                for n, part in zip(first, parts, strict=True):
                    histories[owners[n]][key] = _history(*part)
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


def _split(column: Sequence[float | None], first: Sequence[int]) -> list[NDArray[np.float64]]:
    return np.split(np.array(column, dtype=float), first[1:])


def _history(steps: NDArray[np.float64], values: NDArray[np.float64]) -> History:
    """Of points in the order of steps and then of time: the last one at each step."""
    last = np.append(steps[1:] != steps[:-1], True)
    finite = np.isfinite(values) & (np.abs(values) < LARGEST)
    return History(steps[last], np.where(finite, values, np.nan)[last])
