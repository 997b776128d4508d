"""The parent runs of sweeps, under which MLflow's UI shows their trials."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from recurrent_cells.tracking.names import Tag
from recurrent_cells.tracking.provenance import process_tags
from recurrent_cells.tracking.queries import opened, opening, search
from recurrent_cells.tracking.status import source_tags
from recurrent_cells.tracking.store import Store

if TYPE_CHECKING:
    from mlflow.entities import Run


@dataclass(frozen=True)
class ParentRun:
    """A sweep's run; times are in milliseconds, `end_time` is 0 while the sweep is under way."""

    run_id: str
    name: str
    status: str
    tags: dict[str, str]
    artifact_uri: str
    start_time: int
    end_time: int
    experiment_id: str

    @property
    def round(self) -> str:
        """The round of training all again; empty where finished trials count as they are."""
        return self.tags.get(Tag.ROUND, "")

    @property
    def open_round(self) -> str:
        """The round of training all again that is under way; empty if none is."""
        return "" if self.status == "FINISHED" else self.round

    @property
    def last_sign(self) -> tuple[int, int]:
        """Orders sweeps by when they were last opened or closed: the same command reopens an old parent."""
        return opened(self.tags), max(self.start_time, self.end_time)


def create_parent(store: Store, name: str, plan: str) -> str:
    """A new parent run of a plan; its run id."""
    tags = process_tags() | source_tags() | {Tag.PLAN: plan}
    return str(store.client.create_run(store.experiment_id, run_name=name, tags=tags).info.run_id)


def next_opening(store: Store) -> str:
    """The tag of a sweep that is opened or closed now, after all that its store knows."""
    experiments = [experiment.experiment_id for experiment in store.client.search_experiments()]
    order = [f"tags.`{Tag.OPENED}` DESC"]
    latest = store.client.search_runs(experiments, f"tags.`{Tag.PLAN}` != ''", max_results=1, order_by=order)
    return opening(run.data.tags for run in latest)


def find_parent(store: Store, plan: str) -> ParentRun | None:
    """The latest parent run of a plan in the experiment."""
    found = list(search(store, f"tags.`{Tag.PLAN}` = '{plan}'"))
    return _parent(found[-1]) if found else None


def read_parent(store: Store, run_id: str) -> ParentRun:
    return _parent(store.client.get_run(run_id))


def all_parents(store: Store) -> list[ParentRun]:
    """The parent runs in all experiments of the store."""
    return [_parent(run) for one in store.everywhere() for run in search(one, f"tags.`{Tag.PLAN}` != ''")]


def _parent(run: "Run") -> ParentRun:
    return ParentRun(
        run_id=run.info.run_id,
        name=run.info.run_name or "",
        status=run.info.status,
        tags=dict(run.data.tags),
        artifact_uri=run.info.artifact_uri,
        start_time=run.info.start_time,
        end_time=run.info.end_time or 0,
        experiment_id=run.info.experiment_id,
    )
