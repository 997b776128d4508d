"""Whole trials, one at a time: how accurate each cell is in each precision."""

import os
import statistics
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.commands import composed, open_in, store_in
from benchmarks.gpu_check.check import Check, Point
from recurrent_cells.tracking.names import Curve, Tag
from recurrent_cells.trial.train import train

TITLE, SECONDS, SHARE = "Accuracy", 15, 70


def points(check: Check) -> Iterator[Point]:
    sizes = check.sizes
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= store_in(Path(folder))
        for seed in range(sizes.seeds):
            for cell in sizes.cells:
                for precision in sizes.precisions:
                    name = f"{cell}, {precision}, seed {seed}"
                    yield Point(name, partial(train_one, check, Path(folder), cell, precision, seed))


def train_one(check: Check, folder: Path, cell: str, precision: str, seed: int) -> dict[str, Any]:
    """Train and test a trial alone; what came of it and on what it says that it ran."""
    overrides = [
        *(*check.overrides, f"model={cell}", f"seed={seed}", f"trainer.precision={precision}"),
        *(f"trainer.max_epochs={check.sizes.epochs}", "trainer.progress=false"),
    ]
    result = train(composed(*overrides))
    run = open_in(folder).client.get_run(result["run_id"])
    tags = {name: value for name, value in run.data.tags.items() if name == Tag.DEVICE or Tag.PRECISION in name}
    return {
        "test accuracy": result["test/acc"],
        "test loss": result["test/loss"],
        "best validation": result["val/acc"],
        "seconds": result["seconds"],
        "sequences a second": run.data.metrics[Curve.SAMPLES_PER_SECOND],
        "command": " ".join(overrides),
        "tags": tags,
    }


def report(found: Mapping[str, Any]) -> Iterator[str]:
    rows: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for name, result in found.items():
        cell, precision, _ = name.split(", ")
        rows[cell, precision].append(result)
    example = next(iter(found.values()))["command"]
    yield from [f"Trials alone, such as `python -m src.train {example}`; the difference is to the cell's 32-true:", ""]
    yield "| cell | precision | tags | test accuracy of each seed (%) | mean | difference | sequences/s |"
    yield "|---|---|---|---|---|---|---|"
    for (cell, precision), results in rows.items():
        each = [100 * result["test accuracy"] for result in results]
        base = [100 * result["test accuracy"] for result in rows.get((cell, "32-true"), [])]
        difference = f"{statistics.mean(each) - statistics.mean(base):+.2f}" if base else "–"
        tags = ", ".join(value for name, value in sorted(results[0]["tags"].items()) if name != Tag.DEVICE)
        columns = [", ".join(f"{value:.2f}" for value in each), f"{statistics.mean(each):.2f}", difference]
        speed = statistics.median(result["sequences a second"] for result in results)
        yield f"| {cell} | {precision} | {tags} | {' | '.join(columns)} | {speed:,.0f} |"
    yield ""
