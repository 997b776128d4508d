"""What the store knows of trials, in one search."""

import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import isfinite, nan
from pathlib import Path

from mlflow.entities import Run
from mlflow.exceptions import MlflowException

from recurrent_cells.errors import UserError
from recurrent_cells.tracking.store import Store
from recurrent_cells.tracking.tables import Row, database_of, read_runs

SHORTEST_ID = 4
# By which the best of several trials is told.
SELECTION = "val/best_acc"
# The step at which a search stopped a trial before its budget was spent, and the parent run of that search.
PRUNED, PRUNED_BY = "pruned", "pruned.by"


@dataclass(frozen=True)
class TrialRecord:
    """One run of a trial as the store has it; `seconds` is its time of training and testing."""

    run_id: str
    name: str
    fingerprint: str
    status: str
    end_time: int
    artifact_uri: str
    params: dict[str, str]
    tags: dict[str, str]
    metrics: dict[str, float]

    @property
    def seconds(self) -> float | None:
        return float(self.tags["seconds"]) if "seconds" in self.tags else None

    @property
    def error(self) -> str:
        return self.tags.get("error", "")

    @property
    def pruned(self) -> bool:
        return PRUNED in self.tags

    @property
    def metric(self) -> str:
        """The name of the metric by which the trial is judged."""
        return self.tags.get("metric", "acc")

    @property
    def higher_is_better(self) -> bool:
        return self.tags.get("metric.higher_is_better", "true") == "true"

    @property
    def is_share(self) -> bool:
        """Whether the metric is a share, shown in per cent."""
        return self.tags.get("metric.is_share", "true") == "true"

    @property
    def selection(self) -> float | None:
        """The best validation value, which chose the weights that were tested."""
        return self.metrics.get(f"val/best_{self.metric}")

    @property
    def test(self) -> float | None:
        """The metric on the test data."""
        return self.metrics.get(f"test/{self.metric}")


def search(store: Store, condition: str = "") -> Iterator[Run]:
    """All runs of the experiment that meet an MLflow filter, oldest first."""
    token = None
    while True:
        page = store.client.search_runs(
            [store.experiment_id],
            condition,
            max_results=1000,
            order_by=["attributes.start_time ASC"],
            page_token=token,
        )
        yield from page
        token = page.token
        if not token:
            return


def trial_records(store: Store, condition: str = "") -> list[TrialRecord]:
    """The runs that are trials, oldest first."""
    if not condition and (database := database_of(store)) is not None:
        return [_record_of(row) for row in read_runs(database, store.experiment_id) if "fingerprint" in row.tags]
    return [_record(run) for run in search(store, condition) if "fingerprint" in run.data.tags]


def _record(run: Run) -> TrialRecord:
    return TrialRecord(
        run_id=run.info.run_id,
        name=run.info.run_name or "",
        fingerprint=run.data.tags["fingerprint"],
        status=run.info.status,
        end_time=run.info.end_time or 0,
        artifact_uri=run.info.artifact_uri,
        params=dict(run.data.params),
        tags=dict(run.data.tags),
        metrics=dict(run.data.metrics),
    )


def _record_of(row: Row) -> TrialRecord:
    return TrialRecord(
        run_id=row.run.run_uuid,
        name=row.run.name or "",
        fingerprint=row.tags["fingerprint"],
        status=row.run.status,
        end_time=row.run.end_time or 0,
        artifact_uri=row.run.artifact_uri,
        params=row.params,
        tags=row.tags,
        metrics=row.metrics,
    )


def unpruned(records: Iterable[TrialRecord], but_by: str | None = None) -> list[TrialRecord]:
    """Without trials that a search pruned: they do not stand for their whole length.

    Args:
        but_by: the parent run of a search whose own pruned trials stay, for to it they are done.
    """
    return [record for record in records if not record.pruned or record.tags.get(PRUNED_BY) == but_by]


def latest_by_fingerprint(records: list[TrialRecord]) -> dict[str, TrialRecord]:
    """For each trial its latest FINISHED run, or its latest run if none is finished."""
    latest: dict[str, TrialRecord] = {}
    for record in records:
        known = latest.get(record.fingerprint)
        if known is None or known.status != "FINISHED" or record.status == "FINISHED":
            latest[record.fingerprint] = record
    return latest


def best_by_validation(records: Iterable[TrialRecord]) -> TrialRecord | None:
    """The finished trial with the highest validation accuracy, the first of equals; None if there is none.

    A pruned one is none of them.
    """
    finished = [it for it in unpruned(records) if it.status == "FINISHED" and isfinite(it.metrics.get(SELECTION, nan))]
    return max(finished, key=lambda it: it.metrics[SELECTION], default=None)


def find_trial(store: Store, run_id: str, key: str) -> TrialRecord:
    """The trial whose run id is, or begins with, what the user gave as `key`, in any experiment.

    Raises:
        UserError: if there is none, or it is a sweep.
    """
    found = []
    if len(run_id) >= SHORTEST_ID and run_id.isalnum():
        experiments = [experiment.experiment_id for experiment in store.client.search_experiments()]
        found = list(store.client.search_runs(experiments, f"attributes.run_id LIKE '{run_id}%'", max_results=2))
    if len(found) != 1:
        fault = "several runs begin so" if found else "no such run"
        raise UserError(f"{key}={run_id}: {fault} in {store.address}; allowed is a trial's run id or its beginning")
    (run,) = found
    if "fingerprint" not in run.data.tags:
        raise UserError(f"{key}={run_id}: that is a sweep, give the run id of one of its trials")
    return _record(run)


def read_artifact(store: Store, run_id: str, artifact_uri: str, name: str) -> str | None:
    """The text of a file a run left; None if it left none."""
    content = read_artifact_bytes(store, run_id, artifact_uri, name)
    return None if content is None else content.decode()


def read_artifact_bytes(store: Store, run_id: str, artifact_uri: str, name: str) -> bytes | None:
    """A file a run left; None if it left none."""
    if artifact_uri.startswith(("file://", "/")):
        path = Path(artifact_uri.removeprefix("file://")) / name
        return path.read_bytes() if path.is_file() else None
    try:
        with tempfile.TemporaryDirectory() as folder:
            return Path(store.client.download_artifacts(run_id, name, folder)).read_bytes()
    except (MlflowException, OSError):
        return None
