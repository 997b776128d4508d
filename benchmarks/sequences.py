"""The cells on sequences that are no images: archives, and tasks made on the spot; five seeds each.

make series
python -m benchmarks.sequences --write benchmarks/results/sequences.md

Trains what is missing in the tracking store, so that a run that was ended goes on.
"""

import argparse
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isnan
from pathlib import Path

from benchmarks.record import machine, write_result
from recurrent_cells.statistics.comparisons import estimate
from recurrent_cells.tables import CELLS, SOURCES
from recurrent_cells.tracking.queries import TrialRecord, trial_records
from recurrent_cells.tracking.store import open_store
from src import REPOSITORY

COMPARED = ("simple_rnn", "lstm", "gru")
COMMON = ("-m", f"model={','.join(COMPARED)}", "seed=0,1,2,3,4", "registry=false", "sweep.report=false")
# what `problems.md` found on validation data, with other seeds
TUNED = ("optimizer=adam", "optimizer.lr=1e-2", "model.hidden_size=64")


@dataclass(frozen=True)
class Row:
    """A data set or task: its overrides, and what is published of it."""

    name: str
    overrides: tuple[str, ...]
    published: str

    @property
    def command(self) -> str:
        return shlex.join(["python", "-m", "src.train", *COMMON, *self.overrides])


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
        ("problem=adding", *TUNED),
        "LSTM: 1 of 2,560 off by more than 0.04, after 74,000 sequences",
    ),
    "parity": Row(
        "parity, 3–40 bits, tested on 40–256",
        ("problem=parity", *TUNED),
        "LSTM 100 % after 100,000 steps",
    ),
    "selective": Row(
        "selective copy of 4 out of 32",
        ("problem=selective_copy", *TUNED),
        "time-invariant state spaces 18.3 %, S6 97.0 % (16 out of 4,096)",
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


def report(table: Mapping[Row, Sequence[TrialRecord]]) -> str:
    lines = [
        "# Sequences that are no images",
        "",
        "Mean ± half of a 95 % interval for other seeds, each figure by itself, and the range of five seeds, on the "
        "test data, of the checkpoint with the best validation value. Adding is in squared errors, lower is better. "
        "Settings were written down before the first run and are the same for all cells; those of adding, parity and "
        "selective copy were chosen on validation data with other seeds ([how](problems.md)). Published figures are of "
        "other networks and budgets, for orientation: these are no reproductions.",
        "",
        "| data | guessing | published | " + " | ".join(CELLS[cell].label for cell in COMPARED) + " | budget |",
        "|---|---|---|---|---|---|---|",
    ]
    for row, records in table.items():
        by_cell = {cell: [it for it in records if it.params["model.cell"] == cell] for cell in COMPARED}
        some = records[0]
        naive = getattr(SOURCES[some.params["data.name"]], "naive", {})
        scale, unit = (100, " %") if some.is_share else (1, "")
        guess = ", ".join(f"{scale * value:.3g}{unit}" for value in naive.values()) or "–"
        cells = " | ".join(result(by_cell[cell]) for cell in COMPARED)
        epochs = some.params["trainer.max_epochs"]
        lines.append(f"| {row.name} | {guess} | {row.published} | {cells} | {epochs} epochs |")
    lines += ["", *(f"- {row.name}: `{row.command}`" for row in table), "", machine()]
    return "\n".join(lines) + "\n"


def finished(name: str) -> list[TrialRecord]:
    """The trials of a row, trained where the row's experiment lacks them."""
    experiment = f"sequences-{name}"
    command = [sys.executable, "-m", "src.train", *COMMON, *ROWS[name].overrides, f"tracking.experiment={experiment}"]
    subprocess.run(command, cwd=REPOSITORY, check=True)
    return [record for record in trial_records(open_store(experiment)) if record.status == "FINISHED"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--only", nargs="*", choices=list(ROWS), default=list(ROWS))
    parser.add_argument("--write", type=Path, help="the Markdown file to write")
    arguments = parser.parse_args()
    write_result(report({ROWS[name]: finished(name) for name in arguments.only}), arguments.write)


if __name__ == "__main__":
    main()
