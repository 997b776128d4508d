"""How long it takes to read thousands of trials and their curves, from SQLite, from PostgreSQL and through its server.

    python -m benchmarks.bulk_reads --write benchmarks/results/bulk_reads.md

The runs, each with a curve of 100 points in two metrics, are written straight into the database. PostgreSQL is left
out where it, or the extra `server`, is missing.
"""

import argparse
import os
import random
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path

from hydra import compose, initialize_config_dir

from benchmarks.endings import end_in_order
from benchmarks.postgres import NoPostgres, tracking_server
from benchmarks.record import machine, write_result
from benchmarks.scale import CELLS, CURVES, POINTS, RATES, Figures, fill
from recurrent_cells import curves, trials, verdict
from recurrent_cells.config import schema
from recurrent_cells.config.validation import validated
from recurrent_cells.reports.write import write_report
from recurrent_cells.sweeps.parent import close_parent, open_parent
from recurrent_cells.sweeps.plan import Trial
from recurrent_cells.tracking.store import open_store
from src import REPOSITORY


def made_up(count: int) -> list[Trial]:
    """Trials of three cells and four learning rates, not planned: their fingerprints are numbers."""
    schema.register()
    with initialize_config_dir(str(REPOSITORY / "conf"), version_base="1.3"):
        base = validated(compose("config"))
    made = []
    for number, (seed, cell, rate) in enumerate(product(range(count), CELLS, RATES)):
        if number == count:
            break
        model, optimizer = replace(base.model, cell=cell), replace(base.optimizer, lr=float(rate))
        overrides = {"model": cell, "optimizer.lr": rate, "seed": str(seed)}
        made.append(
            Trial(
                overrides=tuple(f"{key}={value}" for key, value in overrides.items()),
                varied=overrides,
                config=replace(base, seed=seed, model=model, optimizer=optimizer),
                name=f"{cell}-h128x1-s{seed}",
                fingerprint=f"{number:016x}",
                shape=cell,
                n_params=1000,
                configuration=f"{cell}-{rate}",
            )
        )
    return made


def fill_store(uri: str, database: str, count: int) -> str:
    """Fill a store with made-up trials; the run id of their sweep."""
    os.environ["MLFLOW_TRACKING_URI"] = uri
    store = open_store("recurrent-cells")
    random.seed(0)
    made = made_up(count)
    parent = open_parent(store, made, "synthetic", rerun="missing")
    store.disconnect()
    fill(store, database, made, parent.run_id)
    close_parent(store, parent.run_id, {"finished": count}, "FINISHED")
    return parent.run_id


def examine(name: str, uri: str, parent: str) -> Figures:
    """Read the trials of a store in all ways."""
    os.environ["MLFLOW_TRACKING_URI"] = uri
    figures, store = Figures(name), open_store("recurrent-cells")
    with figures.timed("`trials()`"):
        trials()
    with figures.timed(f"`curves()`, {len(CURVES)} curves of each trial"):
        curves(metrics=CURVES)
    with figures.timed("`verdict()`"):
        verdict()
    with figures.timed("the report"):
        write_report(store, parent)
    return figures


def report(count: int, stores: Sequence[Figures]) -> str:
    points = count * len(CURVES) * POINTS
    lines = [
        "# Trials read in bulk",
        "",
        f"`python -m benchmarks.bulk_reads --trials {count}`: {count:,} finished trials of three cells at four "
        f"learning rates, {points:,} points. Seconds, imports left out.",
        "",
        f"| read | {' | '.join(figures.store for figures in stores)} |",
        f"|---|{'---|' * len(stores)}",
    ]
    lines += [
        f"| {what} | {' | '.join(f'{figures.seconds[what]:.1f}' for figures in stores)} |" for what in stores[0].seconds
    ]
    return "\n".join([*lines, "", machine()]) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--write", type=Path, help="the Markdown file to write")
    arguments = parser.parse_args()
    end_in_order()
    with tempfile.TemporaryDirectory() as scratch:
        sqlite = f"sqlite:///{scratch}/mlflow.db"
        stores = [examine("SQLite", sqlite, fill_store(sqlite, sqlite, arguments.trials))]
        try:
            # Files that clients read where they lie: the database's own address leads to them, too.
            files = "--no-serve-artifacts", "--default-artifact-root", f"{scratch}/files"
            with tracking_server(Path(scratch) / "server", options=files) as server:
                parent = fill_store(server.uri, server.database, arguments.trials)
                stores.append(examine("PostgreSQL", server.database, parent))
                stores.append(examine("a server on it", server.uri, parent))
        except NoPostgres as missing:
            print(missing, file=sys.stderr)
    write_result(report(arguments.trials, stores), arguments.write)


if __name__ == "__main__":
    main()
