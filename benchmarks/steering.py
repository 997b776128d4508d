"""How soon a trial ends that is asked to stop, how well a budget is kept, and what pruning by two objectives saves.

python -m benchmarks.steering --write benchmarks/results/steering.md
python -m benchmarks.steering stops --stops 5
python -m benchmarks.steering budgets --budget 20 --sweeps 3
python -m benchmarks.steering pruning --repetitions 10
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from benchmarks import pareto
from benchmarks.commands import open_in, store_in
from benchmarks.record import machine, write_result
from recurrent_cells.tracking.names import Tag
from recurrent_cells.tracking.parents import all_parents
from recurrent_cells.tracking.queries import TrialRecord, trial_records
from recurrent_cells.tracking.steering import ask_to_stop
from recurrent_cells.tracking.store import Store
from src import REPOSITORY

NETWORK = ("model=lstm", "model.hidden_size=32", "trainer=cpu", "registry=false", "sweep.report=false")
ENDLESS = ("trainer.max_steps=1000000", "hydra.launcher.slots=1")
TRIALS = ("optimizer.lr=1e-3,2e-3", "trainer.max_epochs=4,6,9,13", "data.batch_size=16,32,64,128,256")
PACK = ("hydra/launcher=packed", "hydra.launcher.max_pack=100")
SECONDS_BETWEEN_POLLS = 0.05
LONGEST_WAIT = 300.0


def started(folder: Path, *arguments: str) -> subprocess.Popen[bytes]:
    """The command of a sweep with the store of a folder, under way."""
    command = [sys.executable, "-m", "src.train", "-m", *NETWORK, *arguments]
    with (folder / "log").open("w") as log:
        return subprocess.Popen(
            command, cwd=REPOSITORY, env=os.environ | store_in(folder), stdout=log, stderr=subprocess.STDOUT
        )


def waited_for(found: Callable[[], list[TrialRecord]]) -> TrialRecord:
    """The first of the trials that are looked for, once there is one."""
    end = time.monotonic() + LONGEST_WAIT
    while not (trials := found()):
        if time.monotonic() > end:
            raise TimeoutError(f"not after {LONGEST_WAIT:g} s")
        time.sleep(SECONDS_BETWEEN_POLLS)
    return trials[0]


def stops(count: int, *launcher: str) -> list[float]:
    """Seconds from the tag on a trial that trains until the trial is KILLED, of so many trials of a sweep."""
    with tempfile.TemporaryDirectory() as name:
        folder, seconds = Path(name), []
        store = open_in(folder)
        sweep = started(folder, *ENDLESS, *launcher, f"seed=range({count})")
        try:
            for _ in range(count):
                trial = waited_for(lambda: _training(store))
                start = time.monotonic()
                ask_to_stop(store, trial.run_id, "measured")
                waited_for(partial(_killed, store, trial.run_id))
                seconds.append(time.monotonic() - start)
            sweep.wait(LONGEST_WAIT)
        finally:
            sweep.kill()
            sweep.wait()
    return seconds


def _training(store: Store) -> list[TrialRecord]:
    """Those whose first point has been delivered."""
    return trial_records(store, "attributes.status = 'RUNNING' and metrics.`train/loss` > 0")


def _killed(store: Store, run_id: str) -> list[TrialRecord]:
    return [it for it in trial_records(store, "attributes.status = 'KILLED'") if it.run_id == run_id]


def budgets(budget: int, count: int) -> list[tuple[float, float, int, int]]:
    """Of so many sweeps: seconds of the whole command, and of the sweep, beyond the budget; trials finished and left.

    A sweep has forty trials of some seconds on all cores; nothing is known of their times when the sweep begins.
    """
    found = []
    for seed in range(count):
        with tempfile.TemporaryDirectory() as name:
            folder, start = Path(name), time.monotonic()
            sweep = started(folder, *TRIALS, f"seed={seed}", f"sweep.budget={budget}s")
            try:
                code = sweep.wait(budget + LONGEST_WAIT)
            finally:
                sweep.kill()
                sweep.wait()
            whole, store = time.monotonic() - start, open_in(folder)
            if code:
                raise RuntimeError((folder / "log").read_text()[-600:])
            (parent,) = all_parents(store)
            run = store.client.get_run(parent.run_id)
            took = (run.info.end_time - run.info.start_time) / 1000
            finished = sum(record.status == "FINISHED" for record in trial_records(store))
            found.append((whole - budget, took - budget, finished, int(run.data.tags[Tag.LEFT])))
    return found


def told_of_stops(count: int) -> list[str]:
    lines = [
        "## From the tag to KILLED",
        "",
        f"`python -m benchmarks.steering stops --stops {count}`: `{' '.join(NETWORK)}`, seconds from the tag `stop` on "
        "a trial that trains until MLflow has it KILLED with its state saved; packed: members of one pack, one after "
        "the other.",
        "",
        "| | stops | median | worst |",
        "|---|---:|---:|---:|",
    ]
    for name, launcher in (("alone", ()), ("packed", PACK)):
        seconds = stops(count, *launcher)
        lines.append(f"| {name} | {count} | {statistics.median(seconds):.1f} s | {max(seconds):.1f} s |")
    return lines


def told_of_budgets(budget: int, count: int) -> list[str]:
    lines = [
        "## A budget of time",
        "",
        f"`python -m benchmarks.steering budgets --budget {budget} --sweeps {count}`: forty trials of which nothing is "
        f"known, `sweep.budget={budget}s`; seconds beyond the budget of the sweep, and of its whole command with "
        "imports and planning, which the budget does not count.",
        "",
        "| sweep | sweep beyond | command beyond | finished | left |",
        "|---:|---:|---:|---:|---:|",
    ]
    for place, (whole, took, finished, left) in enumerate(budgets(budget, count), start=1):
        lines.append(f"| {place} | {took:+.1f} s | {whole:+.1f} s | {finished} | {left} |")
    return lines


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("parts", nargs="*", choices=["stops", "budgets", "pruning"], default=[])
    parser.add_argument("--stops", type=int, default=20)
    parser.add_argument("--budget", type=int, default=120, help="in seconds")
    parser.add_argument("--sweeps", type=int, default=10)
    parser.add_argument("--repetitions", type=int, default=50, help="of searches on made curves")
    parser.add_argument("--write", type=Path, help="the Markdown file to write")
    given = parser.parse_args(arguments)
    told = {
        "stops": lambda: told_of_stops(given.stops),
        "budgets": lambda: told_of_budgets(given.budget, given.sweeps),
        "pruning": lambda: pareto.told(given.repetitions),
    }
    lines = ["# Steering", ""]
    for part in given.parts or told:
        lines += [*told[part](), ""]
    load = f"load average {os.getloadavg()[1]:.1f} over the last five minutes"
    write_result("\n".join([*lines, f"{machine()}; {load}", ""]), given.write)


if __name__ == "__main__":
    main()
