"""What the end of a trial costs, beside that of another version of the code: files to the store, synced, FINISHED.

git worktree add /tmp/before COMMIT
python -m benchmarks.durability --before /tmp/before --write benchmarks/results/durability.md
"""

import argparse
import importlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.record import machine, write_result

# Bytes of the files that a trial on the default data leaves.
FILES = {
    "config.yaml": 1_600,
    "best.ckpt": 120_000,
    "confusion_matrix.csv": 300,
    "confusion_matrix.png": 21_000,
    "hardest_images.json": 90_000,
    "accuracy_after_step.csv": 600,
    "accuracy_after_step.png": 15_000,
    "model/MLmodel": 1_000,
    "model/conda.yaml": 200,
    "model/python_env.yaml": 100,
    "model/requirements.txt": 50,
    "model/input_example.json": 8_000,
    "model/serving_input_example.json": 8_000,
    "model/data/model.pt2": 250_000,
}
WARM_UP = 2


def ends(count: int) -> list[float]:
    """Seconds that the ends of trials of a sweep take: from the last file to a FINISHED run without originals."""
    from recurrent_cells.tracking.store import open_store

    tracking = importlib.import_module("recurrent_cells.tracking.run")  # of whatever version

    store = open_store("ends")
    parent = store.client.create_run(store.experiment_id).info.run_id
    seconds = []
    for number in range(count + WARM_UP):
        spec = tracking.RunSpec(
            "end", str(number), {"cell": "gru"}, {f"key{key}": "0" for key in range(60)}, parent=parent
        )
        with tracking.trial_run(store, spec) as run:
            for step in range(20):
                run.journal.write({f"metric{key}": 1.0 for key in range(10)}, step)
            for name, size in FILES.items():
                path = run.artifacts / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(os.urandom(size))
            start = time.perf_counter()
        seconds.append(time.perf_counter() - start)
    return seconds[WARM_UP:]


def ends_of(checkout: Path, count: int) -> float:
    """The median in milliseconds of a version, in a process and a store of its own."""
    with tempfile.TemporaryDirectory() as folder:
        surroundings = {
            "PYTHONPATH": os.pathsep.join([str(checkout / "src"), str(Path(__file__).parents[1])]),
            "MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlflow.db",
        }
        command = [sys.executable, "-m", "benchmarks.durability", "--ends", str(count)]
        done = subprocess.run(command, env=os.environ | surroundings, check=True, capture_output=True, text=True)
    return 1000 * statistics.median(json.loads(done.stdout.splitlines()[-1]))


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--before", type=Path, help="a checkout of the version to compare with")
    parser.add_argument("--pairs", type=int, default=9)
    parser.add_argument("--count", type=int, default=20, help="ends in each process")
    parser.add_argument("--ends", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--write", type=Path)
    options = parser.parse_args(arguments)
    if options.ends is not None:
        print(json.dumps(ends(options.ends)))
        return
    here = Path(__file__).parents[1]
    pairs = [(ends_of(options.before, options.count), ends_of(here, options.count)) for _ in range(options.pairs)]
    before, now = ([pair[place] for pair in pairs] for place in (0, 1))
    differences = sorted(new - old for old, new in pairs)
    synced = "files and folders synced, sizes and digests compared"
    text = f"""# The end of a trial

`python -m benchmarks.durability --before CHECKOUT`: from a trial's last file to a FINISHED run whose originals
are gone, on a local store: 200 points, {len(FILES)} files of {sum(FILES.values()) / 1e6:.1f} MB. {len(pairs)} pairs
of processes take turns, each the median of {options.count} ends; milliseconds.

| | median | from | to |
|---|---|---|---|
| before | {statistics.median(before):.0f} | {min(before):.0f} | {max(before):.0f} |
| {synced} | {statistics.median(now):.0f} | {min(now):.0f} | {max(now):.0f} |
| difference of a pair | {statistics.median(differences):+.0f} | {differences[0]:+.0f} | {differences[-1]:+.0f} |

{machine()}
"""
    write_result(text, options.write)


if __name__ == "__main__":
    main()
