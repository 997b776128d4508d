"""An experiment read table by table from its database, where MLflow makes objects of every row of every run."""

import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from math import nan
from typing import TYPE_CHECKING, Any, NamedTuple

from recurrent_cells.tracking.database import LOCK_TIMEOUT, named, path_of
from recurrent_cells.tracking.store import Store

if TYPE_CHECKING:
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

# MLflow keeps infinity as the largest number there is.
LARGEST = 1e300
# What gives the rows of a query.
Rows = Callable[[str], list[Any]]
OF_RUN = "SELECT it.run_uuid, it.key, {} FROM {} it JOIN runs ON runs.run_uuid = it.run_uuid WHERE "


class Info(NamedTuple):
    """A row of the table of runs, with the names of MLflow's RunInfo."""

    run_id: str
    run_name: str | None
    status: str
    end_time: int | None
    artifact_uri: str


class Row(NamedTuple):
    """One run, with its rows of other tables."""

    info: Info
    params: dict[str, str]
    tags: dict[str, str]
    metrics: dict[str, float]


def database_of(store: Store) -> "SqlAlchemyStore | None":
    """The store's database, if this process speaks to it and not to a server."""
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    backend = store.client._tracking_client.store
    return backend if isinstance(backend, SqlAlchemyStore) else None


def read_runs(store: Store) -> list[Row] | None:
    """All runs of the experiment that are not deleted, oldest first; None of a store that is a server.

    Raises:
        UserError: if a store that is a file cannot be read.
    """
    of_experiment = f"runs.experiment_id = {int(store.experiment_id)} AND runs.lifecycle_stage = 'active'"
    with _open(store) as rows:
        if rows is None:
            return None
        params, tags = (_by_run(rows(OF_RUN.format("it.value", table) + of_experiment)) for table in ("params", "tags"))
        metrics: dict[str, dict[str, float]] = defaultdict(dict)
        for run_id, key, value, is_nan in rows(OF_RUN.format("it.value, it.is_nan", "latest_metrics") + of_experiment):
            metrics[run_id][key] = nan if is_nan else value
        found = rows(
            "SELECT run_uuid, name, status, end_time, artifact_uri FROM runs "
            f"WHERE {of_experiment} ORDER BY start_time, run_uuid"
        )
        runs = [Info(*row) for row in found]
    return [Row(run, params.get(run.run_id, {}), tags.get(run.run_id, {}), metrics.get(run.run_id, {})) for run in runs]


@contextmanager
def _open(store: Store) -> Iterator[Rows | None]:
    """What asks the store's database, a file without MLflow, which takes seconds to import; None of a server."""
    if store.is_file:
        path = path_of(store.uri)
        with named(path), closing(sqlite3.connect(path, timeout=LOCK_TIMEOUT)) as file:
            yield lambda query: file.execute(query).fetchall()
    elif (backend := database_of(store)) is not None:
        with backend.engine.connect() as connection:
            yield lambda query: connection.exec_driver_sql(query).cursor.fetchall()
    else:
        yield None


def _by_run(rows: list[Any]) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for run_id, key, value in rows:
        found[run_id][key] = value
    return found
