"""What ten thousand trials ask of planning, of the store and of the report, in SQLite and in PostgreSQL.

    python -m benchmarks.scale --write benchmarks/results/scale.md

The trials are planned as any; their runs, with a curve of 100 points in two metrics, are written straight into the
database. PostgreSQL is left out where it, or the extra `server`, is missing.
"""

import argparse
import os
import random
import statistics
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

import sqlalchemy
from mlflow.store.tracking.dbmodels.models import SqlLatestMetric, SqlMetric, SqlParam, SqlRun, SqlTag

from benchmarks.costs import sweep
from benchmarks.postgres import NoPostgres, tracking_server
from benchmarks.record import machine, write_result
from recurrent_cells.data.splits import load_splits
from recurrent_cells.models.classifier import build_classifier
from recurrent_cells.reports.write import write_report
from recurrent_cells.sweeps import dry_run, sweeper
from recurrent_cells.sweeps.parent import close_parent, open_parent
from recurrent_cells.sweeps.plan import Trial
from recurrent_cells.tracking.opening import flat
from recurrent_cells.tracking.queries import latest_by_fingerprint, trial_records, unpruned
from recurrent_cells.tracking.recovery import at_work, recover
from recurrent_cells.tracking.run import trial_run
from recurrent_cells.tracking.store import Store, open_store
from recurrent_cells.training.device import resolve_device
from recurrent_cells.trial.claim import claim, finished_run
from recurrent_cells.trial.spec import run_spec

CELLS, RATES = ("simple_rnn", "lstm", "gru"), ("3e-4", "1e-3", "3e-3", "1e-2")
CURVES, POINTS = ("val/loss", "val/acc"), 100
LATEST = ("test/loss", "test/acc", "val/best_acc", "train/loss", "train/acc", "lr", "epoch", "epoch_seconds")
ROWS_AT_ONCE = 20_000
FILES = {"best.ckpt": 350_000, "model.pt2": 380_000, "hardest_images.json": 34_000, "confusion_matrix.png": 22_000}
SAMPLES = 20


@dataclass
class Figures:
    """Seconds by what was done, for one store."""

    store: str
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def timed(self, what: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.seconds[what] = time.perf_counter() - start
        print(f"{self.store}: {what}: {self.seconds[what]:.1f} s", file=sys.stderr, flush=True)

    def sampled(self, what: str, action: Callable[[int], Any]) -> None:
        """The median of some calls."""
        spans = []
        for number in range(SAMPLES):
            start = time.perf_counter()
            action(number)
            spans.append(time.perf_counter() - start)
        self.seconds[what] = statistics.median(spans)


def command(trials: int) -> tuple[str, ...]:
    seeds = -(-trials // len(CELLS) // len(RATES))
    axes = (f"model={','.join(CELLS)}", f"optimizer.lr={','.join(RATES)}", f"seed=range(0,{seeds})")
    return (*axes, "sweep.dry_run=true")


def plan(trials: int, figures: Figures) -> list[Trial]:
    """Plan the sweep as a dry run does, its parts timed; the trials."""
    planned: list[Trial] = []
    compose, count = sweeper.compose_grid, dry_run.plan_trials

    def timed_compose(*arguments: Any) -> Any:
        with figures.timed("to compose and check every config"):
            return compose(*arguments)

    def timed_count(points: Any) -> list[Trial]:
        with figures.timed("to fingerprint and count the trials"):
            planned.extend(count(points))
            return planned

    with (
        patch.object(sweeper, "compose_grid", timed_compose),
        patch.object(dry_run, "plan_trials", timed_count),
        figures.timed("the whole dry run, the store empty"),
    ):
        sweep(*command(trials))
    return planned


# --- a store full of finished trials -------------------------------------------------------------------------------


def fill(store: Store, database: str, trials: Sequence[Trial], parent: str) -> None:
    """A FINISHED run for each trial, as training leaves it."""
    engine = sqlalchemy.create_engine(database)
    artifacts = store.client.get_experiment(store.experiment_id).artifact_location
    tables: dict[Any, list[dict[str, Any]]] = {it: [] for it in (SqlRun, SqlParam, SqlTag, SqlLatestMetric, SqlMetric)}
    now = int(time.time() * 1000)
    with engine.begin() as connection:
        for number, trial in enumerate(trials):
            for table, rows in _rows(trial, parent, int(store.experiment_id), artifacts, now + number):
                tables[table] += rows
            if number % 200 == 199 or number == len(trials) - 1:
                for table, rows in tables.items():  # runs first: the others refer to them
                    connection.execute(sqlalchemy.insert(table.__table__), rows)
                    rows.clear()
    engine.dispose()


def _rows(
    trial: Trial, parent: str, experiment: int, artifacts: str, now: int
) -> Iterator[tuple[Any, list[dict[str, Any]]]]:
    run = uuid.uuid4().hex
    settings = asdict(trial.config)
    del settings["sweep"]
    best = 0.95 + 0.01 * CELLS.index(trial.config.model.cell) + random.gauss(0, 0.002)
    tags = {
        "fingerprint": trial.fingerprint,
        "shape": trial.shape,
        "sweep": parent,
        "mlflow.parentRunId": parent,
        "cell": trial.config.model.cell,
        "seed": str(trial.config.seed),
        "seconds": "60.00",
        "data.digest": "d" * 64,
        **{f"version.{number}": "1.2.3" for number in range(8)},
        **{f"process.{number}": "a process" for number in range(6)},
    }
    params = flat(settings) | {"n_params": str(trial.n_params)}
    point = {"timestamp": now, "is_nan": False, "run_uuid": run}
    yield (
        SqlRun,
        [
            {
                "run_uuid": run,
                "name": trial.name,
                "source_type": "LOCAL",
                "source_name": "src.train",
                "entry_point_name": "",
                "user_id": "me",
                "status": "FINISHED",
                "start_time": now,
                "end_time": now + 60_000,
                "source_version": "",
                "lifecycle_stage": "active",
                "artifact_uri": f"{artifacts}/{run}/artifacts",
                "experiment_id": experiment,
            }
        ],
    )
    yield SqlTag, [{"key": key, "value": value, "run_uuid": run} for key, value in tags.items()]
    yield SqlParam, [{"key": key, "value": value, "run_uuid": run} for key, value in params.items()]
    yield SqlLatestMetric, [{"key": key, "value": best, "step": POINTS, **point} for key in (*CURVES, *LATEST)]
    yield (
        SqlMetric,
        [{"key": key, "value": best, "step": step, **point} for key in CURVES for step in range(1, POINTS + 1)]
        + [{"key": key, "value": best, "step": POINTS, **point} for key in LATEST],
    )


# --- what is asked of it -------------------------------------------------------------------------------------------


def train_nothing(store: Store, trial: Trial) -> None:
    """What a trial asks of the store: found unfinished, opened, a curve delivered, files uploaded, ended."""
    config = trial.config
    splits = load_splits(config.data)
    classifier = build_classifier(config.model, splits.num_features, splits.num_classes, config.seed)
    spec = run_spec(config, splits, classifier, resolve_device(config.trainer))
    spec.fingerprint = uuid.uuid4().hex[:16]
    with claim(store, spec.fingerprint):
        finished_run(store, spec.fingerprint)
        with trial_run(store, spec) as run:
            for step in range(POINTS):
                run.journal.write({key: float(step) for key in CURVES}, step)
            for name, size in FILES.items():
                (run.artifacts / name).write_bytes(os.urandom(size))


def examine(name: str, uri: str, database: str, trials: Sequence[Trial]) -> Figures:
    """Fill a store with the trials and ask of it what a sweep of them asks."""
    os.environ["MLFLOW_TRACKING_URI"] = uri
    figures, store = Figures(name), open_store("recurrent-cells")
    random.seed(0)
    figures.sampled(
        "a trial's dealings with the store, empty (0.8 MB of artifacts)", lambda n: train_nothing(store, trials[n])
    )
    with figures.timed("to open the sweep's parent and keep the plan"):
        parent = open_parent(store, trials, "synthetic", rerun="missing")
    store.disconnect()
    fill(store, database, trials, parent.run_id)
    close_parent(store, parent.run_id, {"finished": len(trials)}, "FINISHED")
    figures.sampled("the same, full", lambda n: train_nothing(store, trials[n]))
    with figures.timed("to look for runs whose process is gone"):
        recover(store)
    with figures.timed("to ask which trials are under way"):
        at_work(store)
    with figures.timed("to read what is known of all trials"):
        latest_by_fingerprint(unpruned(trial_records(store)))
    with figures.timed("the whole dry run, the store full"):
        sweep(*command(len(trials)))
    with figures.timed("the report"):
        write_report(store, parent.run_id)
    return figures


def report(count: int, planning: Figures, stores: Sequence[Figures]) -> str:
    lines = [
        "# Ten thousand trials",
        "",
        f"`python -m benchmarks.scale`: {count:,} trials, `python -m src.train -m {' '.join(command(count)[:-1])}`, "
        f"with {len(CURVES) * POINTS + len(LATEST)} points each. Seconds; for a trial's dealings medians of {SAMPLES}.",
        "",
        "| planning | seconds |",
        "|---|---|",
        *(f"| {what} | {seconds:.1f} |" for what, seconds in planning.seconds.items()),
        "",
        f"| the store | {' | '.join(figures.store for figures in stores)} |",
        f"|---|{'---|' * len(stores)}",
    ]
    lines += [
        f"| {what} | {' | '.join(f'{figures.seconds[what]:.2f}' for figures in stores)} |" for what in stores[0].seconds
    ]
    return "\n".join([*lines, "", machine()]) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--write", type=Path, help="the Markdown file to write")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        sqlite = f"sqlite:///{scratch}/mlflow.db"
        os.environ["MLFLOW_TRACKING_URI"] = sqlite
        sweep("seed=0", "trainer.max_steps=1")  # imports what is needed
        planning = Figures("")
        trials = plan(arguments.trials, planning)
        stores = [examine("SQLite", sqlite, sqlite, trials)]
        try:
            with tracking_server(Path(scratch) / "server") as server:
                stores.append(examine("server on PostgreSQL", server.uri, server.database, trials))
        except NoPostgres as missing:
            print(missing, file=sys.stderr)
    write_result(report(len(trials), planning, stores), arguments.write)


if __name__ == "__main__":
    main()
