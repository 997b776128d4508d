"""An experiment read table by table from its database, where MLflow makes objects of every row of every run."""

from collections import defaultdict
from collections.abc import Iterator
from math import nan
from typing import Any, NamedTuple

from mlflow.entities import LifecycleStage
from mlflow.store.tracking.dbmodels.models import SqlLatestMetric, SqlParam, SqlRun, SqlTag
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
from sqlalchemy import Connection, select

from recurrent_cells.tracking.store import Store


class Row(NamedTuple):
    """One run: its row of the table of runs, with the names of MLflow's RunInfo, and its rows of others."""

    info: Any
    params: dict[str, str]
    tags: dict[str, str]
    metrics: dict[str, float]


def database_of(store: Store) -> SqlAlchemyStore | None:
    """The store's database, if this process speaks to it and not to a server."""
    backend = store.client._tracking_client.store
    return backend if isinstance(backend, SqlAlchemyStore) else None


def read_runs(database: SqlAlchemyStore, experiment_id: str) -> list[Row]:
    """All runs of an experiment that are not deleted, oldest first."""
    with database.engine.connect() as connection:
        params, tags = (_by_run(connection, table, experiment_id) for table in (SqlParam, SqlTag))
        metrics: dict[str, dict[str, float]] = defaultdict(dict)
        for run_id, key, value, is_nan in _rows(
            connection, SqlLatestMetric, experiment_id, SqlLatestMetric.value, SqlLatestMetric.is_nan
        ):
            metrics[run_id][key] = nan if is_nan else value
        names = SqlRun.run_uuid.label("run_id"), SqlRun.name.label("run_name")
        query = select(*names, SqlRun.status, SqlRun.end_time, SqlRun.artifact_uri).where(*_active(experiment_id))
        runs = connection.execute(query.order_by(SqlRun.start_time, SqlRun.run_uuid))
        return [
            Row(run, params.get(run.run_id, {}), tags.get(run.run_id, {}), metrics.get(run.run_id, {})) for run in runs
        ]


def _by_run(connection: Connection, table: Any, experiment_id: str) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for run_id, key, value in _rows(connection, table, experiment_id, table.value):
        found[run_id][key] = value
    return found


def _rows(connection: Connection, table: Any, experiment_id: str, *columns: Any) -> Iterator[Any]:
    query = select(table.run_uuid, table.key, *columns).join(SqlRun, SqlRun.run_uuid == table.run_uuid)
    yield from connection.execute(query.where(*_active(experiment_id)))


def _active(experiment_id: str) -> tuple[Any, ...]:
    return SqlRun.experiment_id == int(experiment_id), SqlRun.lifecycle_stage == LifecycleStage.ACTIVE
