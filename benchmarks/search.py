"""Searches on the default data: TPE, with and without pruning, beside random search and a grid of equal compute.

python -m benchmarks.search --folder searches --write benchmarks/results/search.md
"""

import argparse
import os
import shlex
import statistics
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

from benchmarks.record import machine, write_result
from recurrent_cells.reports.metric import Metric
from recurrent_cells.reports.verdicts import verdict
from recurrent_cells.statistics.comparisons import compare, estimate
from recurrent_cells.tracking.artifacts import read_plan
from recurrent_cells.tracking.names import Curve, Tag
from recurrent_cells.tracking.parents import ParentRun, all_parents
from recurrent_cells.tracking.queries import latest_by_fingerprint, trial_records
from recurrent_cells.tracking.store import Store, open_store
from src import REPOSITORY

EPOCHS, STEPS_PER_EPOCH = 9, 62
NETWORK = ("model=lstm", "model.hidden_size=32", f"trainer.max_epochs={EPOCHS}", "trainer=cpu")
QUIET = ("sweep.report=false", "registry=false")
RANGES = (
    "optimizer.lr=tag(log,interval(1e-4,1e-1))",
    "model.output_dropout=interval(0,0.6)",
    "optimizer.weight_decay=tag(log,interval(1e-6,1e-2))",
    "optimizer.warmup_steps=int(interval(0,100))",
)
GRID = (
    "optimizer.lr=1e-4,5.6e-4,3.2e-3,1.8e-2,1e-1",
    "model.output_dropout=0,0.3",
    "optimizer.weight_decay=1e-6,1e-4",
    "optimizer.warmup_steps=0,50",
)
TRIALS = 40
OPTUNA = ("hydra/sweeper=optuna", f"hydra.sweeper.n_trials={TRIALS}", *RANGES)
# One of two goes on at each rung instead of one of three, and the first rung is the second evaluation.
GENTLE = ("hydra.sweeper.pruner=asha", "hydra.sweeper.min_evaluations=2", "hydra.sweeper.reduction_factor=2")
TPE = "TPE"
ARMS = {
    "grid": GRID,
    "random": (*OPTUNA, "hydra.sweeper.sampler=random"),
    TPE: OPTUNA,
    "TPE, asha": (*OPTUNA, "hydra.sweeper.pruner=asha"),
    "TPE, asha from 2": (*OPTUNA, "hydra.sweeper.pruner=asha", "hydra.sweeper.min_evaluations=2"),
    "TPE, asha 2": (*OPTUNA, *GENTLE),
    "TPE, median": (*OPTUNA, "hydra.sweeper.pruner=median"),
}
# What is asked: is TPE better for the same compute, and does pruning cost accuracy?
BESIDE, PRUNED_ARMS = ("grid", "random"), ("TPE, asha", "TPE, asha from 2", "TPE, asha 2", "TPE, median")
FIRST = (10, 20, TRIALS)
BEST = Metric(Curve.best_val("acc"), is_share=True)


@dataclass(frozen=True)
class Found:
    """What one search came to.

    Args:
        best: validation accuracy of the best network so far after each trial, in the order they were planned.
        test: test accuracy of the best by validation.
        steps: optimiser steps of all trials together.
    """

    best: tuple[float, ...]
    test: float
    steps: int


def command(arm: str, repetition: int) -> list[str]:
    seeds = [f"seed={repetition}", *([f"hydra.sweeper.seed={repetition}"] if arm != "grid" else [])]
    return [sys.executable, "-m", "src.train", "-m", *NETWORK, *ARMS[arm], *seeds, *QUIET]


def find(arm: str, repetition: int, folder: Path, run: bool) -> Found | None:
    """Run a search in a store of its own, or go on with it, and read what it came to; None if it is not finished."""
    place = folder / f"{arm.replace(', ', '-').replace(' ', '-')}-{repetition}"
    place.mkdir(parents=True, exist_ok=True)
    os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{place.resolve()}/mlflow.db"
    store = open_store("recurrent-cells")
    if run and not _finished(store):
        with (place / "log").open("a") as log:
            subprocess.run(command(arm, repetition), cwd=REPOSITORY, check=True, stdout=log, stderr=log)
    if not _finished(store):
        return None
    (parent,) = _finished(store)
    records = latest_by_fingerprint(trial_records(store))
    trials = [records[entry.fingerprint] for entry in read_plan(store, parent) or []]
    winner = max(trials, key=lambda trial: trial.rank)
    return Found(
        tuple(accumulate((trial.selection or 0.0 for trial in trials), max)),
        winner.metrics["test/acc"],
        sum(int(trial.tags.get(Tag.PRUNED, EPOCHS * STEPS_PER_EPOCH)) for trial in trials),
    )


def _finished(store: Store) -> list[ParentRun]:
    return [parent for parent in all_parents(store) if parent.status == "FINISHED"]


def report(found: dict[str, dict[int, Found]]) -> str:
    full = TRIALS * EPOCHS * STEPS_PER_EPOCH
    rows = []
    for arm, by_repetition in found.items():
        searches = list(by_repetition.values())
        best = [_mean([100 * it.best[min(count, len(it.best)) - 1] for it in searches]) for count in FIRST]
        test = _mean([100 * it.test for it in searches])
        steps = statistics.mean(it.steps for it in searches)
        cells = [arm, str(len(searches)), *best, test, f"{steps:,.0f}", f"{1 - steps / full:.0%}"]
        rows.append(f"| {' | '.join(cells)} |")
    values = {arm: {seed: it.best[-1] for seed, it in searches.items()} for arm, searches in found.items()}
    lines = [
        f"# Searches of {TRIALS} trials on the default data",
        "",
        f"`python -m benchmarks.search --folder FOLDER`: `{' '.join(NETWORK)}`, every trial "
        f"{EPOCHS * STEPS_PER_EPOCH} steps unless pruned, so that as many trials are as much compute; two slots.",
        "",
        f"- searched: `{' '.join(RANGES)}`",
        f"- the grid: `{' '.join(GRID)}`",
        *(f"- {arm}: `{shlex.join(ARMS[arm][len(OPTUNA) :])}`" for arm in PRUNED_ARMS if arm in found),
        "- in each repetition all have the same `seed` and `hydra.sweeper.seed`",
        "",
        "Validation accuracy (%) of the best network after so many trials, test accuracy of the last of these, "
        "means with 95 % intervals over repetitions:",
        "",
        f"| search | repetitions | {' | '.join(f'{count} trials' for count in FIRST)} | test | steps trained | saved |",
        f"|---|{'---:|' * (len(FIRST) + 4)}",
        *rows,
        "",
        "A grid goes in its own order, from low learning rates to high ones. After all trials, in points of the 500 "
        "validation images that chose the trials (one is 0.2); ± is half of a 95 % interval, for all of a question at "
        "once. Is TPE better for the same compute?",
        "",
        *_answers(values, BESIDE),
        "",
        "Does pruning cost accuracy?",
        "",
        *_answers(values, PRUNED_ARMS),
        "",
        machine(),
    ]
    return "\n".join(lines) + "\n"


def _answers(values: dict[str, dict[int, float]], asked: Sequence[str]) -> list[str]:
    """TPE against others in words."""
    pairs = compare({arm: list(values[arm].values()) for arm in (TPE, *asked) if arm in values})
    return [f"- {verdict(it, BEST, None, None)}" for it in pairs if TPE in (it.better, it.worse)]


def _mean(values: Sequence[float]) -> str:
    found = estimate(values)
    return f"{found.mean:.2f} ± {found.half:.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--arms", nargs="+", choices=list(ARMS), default=list(ARMS))
    parser.add_argument("--folder", type=Path, required=True, help="of the stores; what is there is gone on with")
    parser.add_argument("--as-it-is", action="store_true", help="run nothing, report on what is finished")
    parser.add_argument("--write", type=Path, help="the Markdown file to write")
    arguments = parser.parse_args()
    found: dict[str, dict[int, Found]] = {arm: {} for arm in arguments.arms}
    for repetition in range(arguments.repetitions):
        for arm, searches in found.items():
            one = find(arm, repetition, arguments.folder, run=not arguments.as_it_is)
            if one is not None:
                searches[repetition] = one
                print(f"{arm} {repetition}: {one.best[-1]:.4f}, {one.steps:,} steps", flush=True)
    write_result(report(found), arguments.write)


if __name__ == "__main__":
    main()
