"""How long the report on a large sweep takes: synthetic trials with whole curves, written straight into SQLite.

python -m benchmarks.report --write benchmarks/results/report.md
"""

import argparse
import json
import math
import os
import random
import sqlite3
import tempfile
import time
from itertools import product
from pathlib import Path

from mlflow.entities import Metric, Param, RunTag

from benchmarks.record import machine, write_result
from recurrent_cells.reports.write import write_report
from recurrent_cells.tracking.names import Artifact, Tag
from recurrent_cells.tracking.store import Store, open_store

CELLS = ("simple_rnn", "lstm", "gru")
CURVES = ("val/loss", "val/acc", "epoch", "epoch_seconds")


def write_sweep(store: Store, trials: int, seeds: int, points: int) -> str:
    """A sweep over cells, seeds and learning rates; its parent's run id."""
    client = store.client
    rates = [f"{1e-4 * 1.1**n:.6g}" for n in range(math.ceil(trials / len(CELLS) / seeds))]
    chosen = list(product(CELLS, rates, range(seeds)))[:trials]
    parent = client.create_run(store.experiment_id, run_name="synthetic", tags={Tag.PLAN: "synthetic"}).info.run_id
    entries, rows = [], []
    for cell, rate, seed in chosen:
        name = f"{cell}-lr{rate}-s{seed}"
        entries.append(
            {"name": name, "fingerprint": name, "overrides": [f"model={cell}", f"optimizer.lr={rate}", f"seed={seed}"]}
        )
        tags = {"fingerprint": name, "sweep": parent, "cell": cell, "seconds": "10", "data.digest": "d"}
        params = {"model.cell": cell, "optimizer.lr": rate, "seed": str(seed), "n_params": "10000"}
        run = client.create_run(store.experiment_id, run_name=name).info.run_id
        accuracy = 0.95 + 0.01 * CELLS.index(cell) + random.gauss(0, 0.002)
        client.log_batch(
            run,
            metrics=[Metric(key, accuracy, 0, points) for key in ("test/acc", "val/best_acc")],
            params=[Param(*item) for item in params.items()],
            tags=[RunTag(*item) for item in tags.items()],
        )
        client.set_terminated(run)
        for step in range(1, points + 1):
            right = accuracy * (1 - math.exp(-step / points * 5))
            for key, value in zip(CURVES, (1.05 - right, right, step / 10, 1.0), strict=True):
                rows.append((key, value, step, run, step, False))
    client.log_text(parent, json.dumps(entries), Artifact.PLAN)
    client.set_terminated(parent)
    store.disconnect()
    with sqlite3.connect(store.uri.removeprefix("sqlite:///")) as connection:
        connection.executemany(
            "INSERT INTO metrics (key, value, timestamp, run_uuid, step, is_nan) VALUES (?, ?, ?, ?, ?, ?)", rows
        )
    return str(parent)


def measure(trials: int, seeds: int, points: int) -> float:
    """Seconds of a report."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{folder}/mlflow.db"
        store = open_store("recurrent-cells")
        parent = write_sweep(store, trials, seeds, points)
        start = time.perf_counter()
        write_report(store, parent)
        return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--points", type=int, default=1000)
    parser.add_argument("--write", type=Path, help="the Markdown file to write")
    arguments = parser.parse_args()
    few, all_of_them = (measure(arguments.trials, seeds, arguments.points) for seeds in (10, arguments.trials // 3))
    many = arguments.trials * arguments.points * len(CURVES)
    lines = [
        "# The report on a large sweep",
        "",
        f"`python -m benchmarks.report --trials {arguments.trials} --points {arguments.points}`",
        "",
        f"{arguments.trials:,} trials of 3 cells, {arguments.points:,} points in each of {len(CURVES)} metrics "
        f"({many:,} in all) in SQLite: page, Markdown, figures and tables, imports left out (asked for: under 30 s).",
        "",
        f"- many learning rates, 10 seeds each, of which the best configuration of each cell is drawn: {few:.1f} s",
        f"- one learning rate, {arguments.trials // 3} seeds, all curves drawn: {all_of_them:.1f} s",
        "",
        machine(),
    ]
    write_result("\n".join(lines) + "\n", arguments.write)


if __name__ == "__main__":
    main()
