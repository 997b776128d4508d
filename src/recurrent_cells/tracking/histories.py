"""Metric histories of many runs, read in bulk."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import product
from operator import itemgetter
from typing import NamedTuple

import numpy as np
from mlflow.exceptions import MlflowException
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
from numpy.typing import NDArray
from sqlalchemy import bindparam, text

from recurrent_cells.tracking import server
from recurrent_cells.tracking.store import Store
from recurrent_cells.tracking.tables import LARGEST, database_of

RUNS_A_QUERY = 200
POINTS_OF_RUNS = (
    "SELECT it.run_uuid, it.step, CASE WHEN it.is_nan THEN NULL ELSE it.value END FROM metrics it {} "
    "WHERE it.run_uuid IN :runs AND it.key = :key ORDER BY it.run_uuid, it.step, it.timestamp, it.value"
)

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class History:
    """A metric over optimiser steps: `steps` (n,) increasing, `values` (n,), NaN where a value was not finite."""

    steps: Floats
    values: Floats


Histories = dict[str, dict[str, History]]


class Points(NamedTuple):
    """Points of one metric, each (n,): run after run, in the order of steps and of time."""

    run_ids: Sequence[str]
    steps: Floats
    values: Floats


def read_histories(store: Store, run_ids: Sequence[str], keys: Sequence[str]) -> Histories:
    """run id → metric → history, without those that have no points; many runs are read at once."""
    database = database_of(store)
    histories: Histories = defaultdict(dict)
    read = _from_server(store, run_ids, keys) if database is None else _from_database(database, run_ids, keys)
    for key, points in read:
        for run_id, history in _by_run(points):
            histories[run_id][key] = history
    return dict(histories)


def _from_database(
    database: SqlAlchemyStore, run_ids: Sequence[str], keys: Sequence[str]
) -> Iterator[tuple[str, Points]]:
    # Left to itself, SQLite takes the index that begins with the key, and reads the points of all runs for every few.
    index = "INDEXED BY index_metrics_run_uuid_key_step" if database.engine.dialect.name == "sqlite" else ""
    query = text(POINTS_OF_RUNS.format(index)).bindparams(bindparam("runs", expanding=True))
    with database.engine.connect() as connection:
        for key, chosen in product(keys, _parts(run_ids, RUNS_A_QUERY)):
            found = connection.execute(query, {"runs": chosen, "key": key})
            if rows := found.cursor.fetchall():  # SQLAlchemy's own rows would take as long again
                yield key, _columns(rows)


def _from_server(store: Store, run_ids: Sequence[str], keys: Sequence[str]) -> Iterator[tuple[str, Points]]:
    def read(asked: tuple[str, Sequence[str]]) -> list[server.Point]:
        key, chosen = asked
        try:
            return server.read_points(store, chosen, key)
        except MlflowException:  # one that answers for single runs alone, or none that answers: then this says so
            return [point for run_id in chosen for point in server.read_history(store, run_id, key)]

    asked = list(product(keys, _parts(run_ids, server.MOST_RUNS)))
    with ThreadPoolExecutor(server.REQUESTS_AT_ONCE) as pool:
        for (key, _), points in zip(asked, pool.map(read, asked), strict=True):
            if points:
                points.sort(key=itemgetter("run_id", "step", "timestamp", "value"))
                yield key, _columns([itemgetter("run_id", "step", "value")(point) for point in points])


def _parts(run_ids: Sequence[str], size: int) -> list[Sequence[str]]:
    return [run_ids[start : start + size] for start in range(0, len(run_ids), size)]


def _columns(rows: Sequence[tuple[str, int, float | None]]) -> Points:
    steps, values = (np.array([row[column] for row in rows], dtype=float) for column in (1, 2))
    return Points([row[0] for row in rows], steps, values)


def _by_run(points: Points) -> Iterator[tuple[str, History]]:
    """The history of each run: of several points at a step the last one logged counts."""
    finite = np.isfinite(points.values) & (np.abs(points.values) < LARGEST)
    values = np.where(finite, points.values, np.nan)
    end = 0
    for run_id, count in Counter(points.run_ids).items():
        start, end = end, end + count
        steps = points.steps[start:end]
        last = np.append(steps[1:] != steps[:-1], True)
        yield run_id, History(steps[last], values[start:end][last])
