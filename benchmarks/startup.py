"""How soon commands answer, beside those of another version of the code.

git worktree add --detach /tmp/before COMMIT
python -m benchmarks.startup --before /tmp/before --write benchmarks/results/startup.md
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.record import machine, write_result

TRAIN = ("-m", "src.train")
ONE_STEP = ("trainer.log_every=1", "trainer.progress=false")
# What is measured, in words, with its command; FIRST_STEP alone is ended when a step is done.
FIRST_STEP = "from the command to the first step of a trial"
COMMANDS = {
    "`--help`": (*TRAIN, "--help"),
    "refusal: a value out of range": (*TRAIN, "model.hidden_size=-1"),
    "refusal: no such key": (*TRAIN, "model.hidden_sizes=1"),
    "refusal: no such setting of a cell": (*TRAIN, "+model.options.x=1"),
    "refusal: a setting of a cell out of range": (*TRAIN, "model=slstm", "model.options.heads=0"),
    "refusal: no such data": (*TRAIN, "data=idx", "data.root=/nowhere"),
    "refusal: no such data, of a sweep": (*TRAIN, "-m", "data=idx", "data.root=/nowhere", "seed=0,1"),
    "refusal: no memory for the network": (*TRAIN, "model.hidden_size=10000000"),
    "refusal: no memory for the network, of a sweep": (*TRAIN, "-m", "model.hidden_size=10000000", "seed=0,1"),
    "dry run of nine trials": (*TRAIN, "-m", "model=simple_rnn,lstm,gru", "seed=0,1,2", "sweep.dry_run=true"),
    FIRST_STEP: (*TRAIN, *ONE_STEP),
}
HERE = Path(__file__).parents[1]
SECONDS_BETWEEN_LOOKS = 0.01


@dataclass(frozen=True)
class Taken:
    """The seconds of a command: those of the processors, its child processes included, and those of a clock."""

    processors: float
    clock: float


def take(checkout: Path, home: Path, command: Sequence[str], until_step: bool) -> Taken:
    """Run a command of a version from a home of its own; raises RuntimeError if it ends another way than it should."""
    with tempfile.TemporaryDirectory() as folder:
        own = Path(shutil.copytree(home, Path(folder) / "home"))
        surroundings = os.environ | {"RECURRENT_CELLS_HOME": str(own), "PYTHONPATH": f"{checkout / 'src'}:{checkout}"}
        surroundings.pop("MLFLOW_TRACKING_URI", None)
        start = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, *command], cwd=checkout, env=surroundings, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        if until_step:
            while not any(path.stat().st_size for path in own.glob("mlruns/trials/*/journal.jsonl")):
                if process.poll() is not None:
                    raise RuntimeError(process.communicate()[0].decode())
                time.sleep(SECONDS_BETWEEN_LOOKS)
            clock = time.perf_counter() - start
            process.kill()
        assert process.stdout is not None
        said = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode not in ((-9,) if until_step else (0, 2)):
            raise RuntimeError(said.decode())
        return Taken(usage.ru_utime + usage.ru_stime, clock if until_step else time.perf_counter() - start)


def row(name: str, before: Sequence[Taken], now: Sequence[Taken]) -> str:
    """Medians of both versions and of the ratios of pairs, for processors and for the clock."""
    cells = []
    for what in ("processors", "clock"):
        pairs = [(getattr(old, what), getattr(new, what)) for old, new in zip(before, now, strict=True)]
        cells += [
            f"{statistics.median(old for old, _ in pairs):.2f}",
            f"{statistics.median(new for _, new in pairs):.2f}",
        ]
        cells.append(f"{statistics.median(new / old for old, new in pairs):.2f}")
    return f"| {name} | {' | '.join(cells)} |"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--before", type=Path, required=True, help="a checkout of the version to compare with")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--only", help="a part of the names of what is measured", default="")
    parser.add_argument("--write", type=Path)
    options = parser.parse_args(arguments)
    rows = []
    with tempfile.TemporaryDirectory() as home:
        for checkout in (options.before, HERE):  # makes store, data and compiled files
            subprocess.run(
                [sys.executable, *TRAIN, "trainer.max_steps=1"],
                cwd=checkout,
                env=os.environ | {"RECURRENT_CELLS_HOME": home, "PYTHONPATH": f"{checkout / 'src'}:{checkout}"},
                check=True,
                capture_output=True,
            )
        for name, command in COMMANDS.items():
            if options.only not in name:
                continue
            pairs = [
                [take(checkout, Path(home), command, name == FIRST_STEP) for checkout in (options.before, HERE)]
                for _ in range(options.rounds)
            ]
            rows.append(row(name, *zip(*pairs, strict=True)))
            print(rows[-1], file=sys.stderr)
    text = f"""# How soon commands answer

`python -m benchmarks.startup --before CHECKOUT --rounds {options.rounds}`: medians of {options.rounds} pairs of
processes, taken in turn, each from a copy of one store. Processor seconds are those of user and system, child
processes included; a trial is killed once its first step is in its journal.

| | processor s before | now | ratio | clock s before | now | ratio |
|---|---|---|---|---|---|---|
{chr(10).join(rows)}

{machine()}
"""
    write_result(text, options.write)


if __name__ == "__main__":
    main()
