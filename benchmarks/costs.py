"""What a sweep costs beside training: planning, starting a trial, a second slot, checkpoints and tracking.

python -m benchmarks.costs --write benchmarks/results/costs.md
"""

import argparse
import io
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any
from unittest.mock import patch

from mlflow.entities import Metric, Param

from benchmarks.record import machine, write_result
from recurrent_cells.cli import train as cli
from recurrent_cells.config.schema import DataConfig
from recurrent_cells.data.splits import load_splits
from recurrent_cells.sweeps import dry_run, sweeper
from recurrent_cells.sweeps import sweep as sweeping
from recurrent_cells.sweeps.processes import Children
from recurrent_cells.tracking import run as tracking
from recurrent_cells.tracking.journal import Courier, Journal
from recurrent_cells.tracking.queries import trial_records
from recurrent_cells.tracking.store import open_store
from recurrent_cells.training.module import TrialModule
from recurrent_cells.trial.train import train

THOUSAND = ("model=simple_rnn,lstm,gru", "seed=range(0,84)", "optimizer.lr=3e-4,1e-3,3e-3,1e-2", "sweep.dry_run=true")
CELLS = ("+sweep=cells", "model.hidden_size=50")
ONE = ("model=lstm", "model.hidden_size=50")


def sweep(*arguments: str) -> float:
    """Seconds of `python -m src.train -m ARGUMENTS` in this process, its imports done."""
    silence = io.StringIO()
    start = time.perf_counter()
    with patch.object(sys, "argv", ["train.py", "-m", "trainer=cpu", *arguments]), redirect_stdout(silence):
        try:
            with redirect_stderr(silence):
                cli.main(sys.argv[1:], train)
        except SystemExit as end:
            if end.code:
                raise RuntimeError(f"a sweep exited with {end.code}: {silence.getvalue()}") from None
    return time.perf_counter() - start


def planning() -> tuple[float, float]:
    """Seconds to plan 1,008 trials: to compose, check and count them, and that with the store's part and the table."""
    spans: list[float] = []
    with _timed(sweeper, "compose_grid", spans), _timed(dry_run, "plan_trials", spans):
        whole = sweep(*THOUSAND)
    return sum(spans), whole


def fill_store(count: int) -> None:
    """Copies of the one trial in the store, each a trial of its own."""
    store = open_store("recurrent-cells")
    (record,) = trial_records(store)
    params = [Param(key, value) for key, value in record.params.items()]
    metrics = [Metric(key, value, 0, 0) for key, value in record.metrics.items()]
    for index in range(count):
        tags = {
            key: value for key, value in record.tags.items() if key not in ("manifest", "checkpoint.sha256")
        }  # it has no files
        tags |= {"fingerprint": f"copy {index}"}
        run_id = store.client.create_run(store.experiment_id, tags=tags).info.run_id
        store.client.log_batch(run_id, params=params, metrics=metrics)
        store.client.set_terminated(run_id)


def starting(trials: int) -> list[float]:
    """Seconds from the fork to the first training step, for each trial of a sweep in one slot."""
    with tempfile.TemporaryDirectory() as folder:
        marks = Path(folder) / "marks"
        fork, training_step = Children.fork, TrialModule.training_step

        def timed_fork(*arguments: Any) -> Any:
            os.environ["FORKED_AT"] = str(time.monotonic())
            return fork(*arguments)

        def first_step(module: TrialModule, chunk: tuple[int, int], index: int) -> None:
            if chunk[0] == 0:
                with marks.open("a") as file:
                    file.write(f"{time.monotonic() - float(os.environ['FORKED_AT'])}\n")
            training_step(module, chunk, index)

        with patch.object(Children, "fork", timed_fork), patch.object(TrialModule, "training_step", first_step):
            sweep(*ONE, f"seed=range(0,{trials})", "trainer.max_steps=20", "hydra.launcher.slots=1")
        return [float(line) for line in marks.read_text().splitlines()]


def slots(pairs: int, epochs: int) -> list[tuple[float, float]]:
    """For each pair the seconds of driving the trials with one slot and with two."""

    def span(count: int) -> float:
        spans: list[float] = []
        with _timed(sweeping, "drive", spans):
            sweep(*CELLS, f"trainer.max_epochs={epochs}", f"hydra.launcher.slots={count}", "sweep.rerun=all")
        return sum(spans)

    return [(span(1), span(2)) for _ in range(pairs)]


def tracking_share(pairs: int, epochs: int) -> list[tuple[float, float]]:
    """For each pair the seconds from the first training step to the last with checkpoints and metrics, and without."""
    return [(_training(epochs), _without_tracking(epochs)) for _ in range(pairs)]


def _without_tracking(epochs: int) -> float:
    def nothing(*_: Any) -> None:
        pass

    with (
        patch.object(tracking.TrialRun, "checkpoint", nothing),
        patch.object(Journal, "write", nothing),
        patch.object(Courier, "run", nothing),
    ):
        return _training(epochs)


def _training(epochs: int) -> float:
    marks: list[float] = []
    training_step = TrialModule.training_step

    def step(module: TrialModule, chunk: tuple[int, int], index: int) -> None:
        marks.append(time.perf_counter())
        training_step(module, chunk, index)
        marks.append(time.perf_counter())

    with patch.object(TrialModule, "training_step", step):
        sweep(*ONE, f"trainer.max_epochs={epochs}", "hydra/launcher=basic", "sweep.rerun=all")
    return marks[-1] - marks[0]


@contextmanager
def _timed(owner: Any, name: str, spans: list[float]) -> Iterator[None]:
    original: Callable[..., Any] = getattr(owner, name)

    def timed(*arguments: Any, **named: Any) -> Any:
        start = time.perf_counter()
        try:
            return original(*arguments, **named)
        finally:
            spans.append(time.perf_counter() - start)

    with patch.object(owner, name, timed):
        yield


def report(
    plans: Sequence[tuple[str, float]],
    starts: Sequence[float],
    spans: Sequence[tuple[float, float]],
    trainings: Sequence[tuple[float, float]],
) -> str:
    speedups = [one / two for one, two in spans]
    shares = [with_all / bare - 1 for with_all, bare in trainings]
    lines = [
        "# What a sweep costs beside training",
        "",
        "`python -m benchmarks.costs`, on a CPU.",
        "",
        "| what | measured | least – most | aim |",
        "|---|---|---|---|",
        *(f"| {what} | {seconds:.1f} s | | under 10 s |" for what, seconds in plans),
        f"| from the fork to the trial's first training step, median of {len(starts)} "
        f"| {statistics.median(starts):.3f} s | {min(starts):.3f} – {max(starts):.3f} | under 0.3 s |",
        f"| two slots against one on `{' '.join(CELLS)}`, median of {len(spans)} pairs "
        f"({statistics.median(one for one, _ in spans):.1f} s, {statistics.median(two for _, two in spans):.1f} s) "
        f"| {statistics.median(speedups):.2f} × | {min(speedups):.2f} – {max(speedups):.2f} | at least 1.8 × |",
        f"| time added by checkpoints and tracking to the training of `{' '.join(ONE)}`, median of {len(shares)} pairs "
        f"| {statistics.median(shares):+.1%} | {min(shares):+.1%} – {max(shares):+.1%} | at most 5 % |",
        "",
        "The training of a trial runs from its first step to its last: a checkpoint at each evaluation, a point of the "
        "curves every 20 steps. Slots are compared by the launcher's time for all nine trials, the data read before.",
        "",
        machine(),
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=10, help="of a trial")
    parser.add_argument("--starts", type=int, default=10)
    parser.add_argument("--known", type=int, default=1000, help="trials in the store for the second plan")
    parser.add_argument("--write", type=Path, help="the Markdown file to write")
    arguments = parser.parse_args()
    load_splits(DataConfig(val_size=500, test_size=500))  # on disk as arrays from now on
    with tempfile.TemporaryDirectory() as folder:
        os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{folder}/mlflow.db"
        sweep("seed=0", "trainer.max_steps=1")  # makes the store and imports what trials need
        without_store, whole = planning()
        starts = starting(arguments.starts)
        spans = slots(arguments.pairs, arguments.epochs)
        trainings = tracking_share(arguments.pairs, 2 * arguments.epochs)
        os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{folder}/full/mlflow.db"
        sweep("seed=0", "trainer.max_steps=1")
        fill_store(arguments.known)
        _, whole_with_runs = planning()
    plans = [
        ("planning 1,008 trials: composed, checked, counted", without_store),
        ("the whole dry run of them, the store empty", whole),
        (f"the same, {arguments.known:,} finished trials in the store", whole_with_runs),
    ]
    write_result(report(plans, starts, spans, trainings), arguments.write)


if __name__ == "__main__":
    main()
