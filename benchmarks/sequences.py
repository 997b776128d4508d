"""The cells on sequences that are no images: archives, and tasks made on the spot; five seeds each.

make series
python -m benchmarks.sequences --write benchmarks/results/sequences.md

Trains what is missing in the tracking store, so that a run that was ended goes on.
"""

import argparse
import shlex
import subprocess
import sys
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from math import isnan
from pathlib import Path

from benchmarks.record import machine, write_result
from recurrent_cells.config.schema import TrackingConfig
from recurrent_cells.statistics.comparisons import estimate
from recurrent_cells.tables import CELLS, SOURCES
from recurrent_cells.tracking.queries import TrialRecord, trial_records
from recurrent_cells.tracking.store import open_store
from src import REPOSITORY

COMPARED = ("simple_rnn", "lstm", "gru")
COMMON = ("-m", f"model={','.join(COMPARED)}", "seed=0,1,2,3,4", "registry=false", "sweep.report=false")


@dataclass(frozen=True)
class Row:
    """A data set or task: its overrides, and what is published of it."""

    name: str
    overrides: tuple[str, ...]
    published: str

    @property
    def command(self) -> str:
        return shlex.join(["python", "-m", "src.train", *COMMON, *self.overrides])

    def has(self, record: TrialRecord) -> bool:
        wanted = dict(override.split("=", 1) for override in self.overrides)
        wanted["data.name"] = wanted.pop("data")
        return all(record.params.get(key) == value for key, value in wanted.items())


ROWS = {
    "italy": Row(
        "ItalyPowerDemand, T = 24",
        ("data=ts", "data.dataset=ItalyPowerDemand", "model.hidden_size=64", "trainer.max_epochs=200"),
        "InceptionTime 96.0 ± 1.3 % (sd of 30 resamples)",
    ),
    "vowels": Row(
        "JapaneseVowels, T = 7 to 29",
        ("data=ts", "data.dataset=JapaneseVowels", "model.hidden_size=64", "trainer.max_epochs=60"),
        "–",
    ),
    "mnist1d": Row(
        "MNIST-1D, T = 40",
        ("data=mnist1d", "model.hidden_size=64", "trainer.max_epochs=100"),
        "GRU 91 % (its README), 89.1 % (its notebook), 800 more to train on",
    ),
    "adding": Row(
        "adding, T = 100",
        ("data=adding", "model.hidden_size=64", "optimizer.clip_norm=1.0", "trainer.max_epochs=12"),
        "–",
    ),
    "parity": Row(
        "parity, 3–40 bits, tested on 40–256",
        (
            "data=parity",
            "model.hidden_size=32",
            "optimizer.clip_norm=1.0",
            "optimizer.lr=0.01",
            "data.order=by_length",
            "trainer.max_epochs=130",
        ),
        "LSTM 100 % after 100,000 steps",
    ),
    "selective": Row(
        "selective copy, T = 100",
        ("data=selective_copy", "model.readout=every", "model.hidden_size=128", "trainer.max_epochs=20"),
        "time-invariant state spaces 18.3 %, S6 97.0 % (T = 4,096)",
    ),
}


def result(records: Sequence[TrialRecord]) -> str:
    """The mean over seeds and half of its 95 % interval, and the range of seeds."""
    values = [record.test for record in records if record.test is not None]
    if not values:
        return "–"
    scale, unit = (100, " %") if records[0].is_share else (1, "")
    found, shown = estimate(values), f"{min(values) * scale:.4g} to {max(values) * scale:.4g}"
    interval = "" if isnan(found.half) else f" ± {found.half * scale:.2g}"
    return f"{found.mean * scale:.4g}{interval}{unit} ({shown})"


def report(rows: Sequence[Row], records: Sequence[TrialRecord]) -> str:
    lines = [
        "# Sequences that are no images",
        "",
        "Mean ± half of a 95 % interval for other seeds, each figure by itself, and the range of five seeds, on the "
        "test data, of the checkpoint with the best validation value. Adding is in squared errors, lower is better. "
        "The settings were written down before the first run and are the same for all cells. Published figures are of "
        "other networks and budgets, for orientation: these are no reproductions.",
        "",
        "| data | guessing | published | " + " | ".join(CELLS[cell].label for cell in COMPARED) + " | budget |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        by_cell: dict[str, list[TrialRecord]] = defaultdict(list)
        for record in records:
            if record.status == "FINISHED" and row.has(record):
                by_cell[record.params["model.cell"]].append(record)
        some = next(iter(by_cell.values()))[0]
        naive = getattr(SOURCES[some.params["data.name"]], "naive", {})
        scale, unit = (100, " %") if some.is_share else (1, "")
        guess = ", ".join(f"{scale * value:.3g}{unit}" for value in naive.values()) or "–"
        steps = max(int(found.metrics.get("epoch", 0)) for found in by_cell[COMPARED[0]])
        cells = " | ".join(result(by_cell[cell]) for cell in COMPARED)
        lines.append(f"| {row.name} | {guess} | {row.published} | {cells} | {steps} epochs |")
    lines += ["", *(f"- {row.name}: `{row.command}`" for row in rows), "", machine()]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--only", nargs="*", choices=list(ROWS), default=list(ROWS))
    parser.add_argument("--write", type=Path, help="the Markdown file to write")
    arguments = parser.parse_args()
    rows = [ROWS[name] for name in arguments.only]
    for row in rows:
        subprocess.run([sys.executable, "-m", "src.train", *COMMON, *row.overrides], cwd=REPOSITORY, check=True)
    write_result(report(rows, trial_records(open_store(TrackingConfig().experiment))), arguments.write)


if __name__ == "__main__":
    main()
