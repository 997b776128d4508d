"""What to do first on a machine with a GPU.

python -m benchmarks.gpu_check [--stages 1 2 3 4] [--data FOLDER] [--out FOLDER] [--seconds 540]
python -m benchmarks.gpu_check --record [--out FOLDER]
python -m benchmarks.gpu_check --device cpu          every step at toy sizes, on any machine
"""

import argparse
import signal
import sys
import time
from pathlib import Path

from benchmarks.gpu_check.check import Check
from benchmarks.gpu_check.lines import Lines
from benchmarks.gpu_check.record import name, record
from benchmarks.gpu_check.running import NoGpu, Runner, Step
from benchmarks.gpu_check.steps import STAGES
from src import REPOSITORY

STEPS = "benchmarks.gpu_check.steps"


def main() -> None:
    start = time.monotonic()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--stages", type=int, nargs="*", choices=list(STAGES), default=list(STAGES))
    parser.add_argument("--steps", nargs="*", help="only these of the stages")
    parser.add_argument("--data", type=Path, help="the folder of MNIST's four IDX files, plain or .gz")
    parser.add_argument(
        "--out", type=Path, default=REPOSITORY / "reports" / "gpu_check", help="for all that is written"
    )
    parser.add_argument("--seconds", type=float, default=540, help="of this call; the next goes on where it ends")
    parser.add_argument("--device", choices=["gpu", "cpu"], default="gpu", help="cpu: every step at toy sizes")
    parser.add_argument("--again", action="store_true", help="measure again what failed")
    parser.add_argument("--record", action="store_true", help="only write the record of what was measured")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that no process is left behind
    lines = Lines(given.out.resolve() / "results.jsonl")
    left: list[str] = []
    if not given.record:
        check = Check(given.device, given.data and given.data.resolve(), given.out.resolve())
        steps = [
            Step(stage, step, f"{STEPS}.{step}")
            for stage in given.stages
            for step in STAGES[stage]
            if given.steps is None or step in given.steps
        ]
        try:
            left = Runner(check, lines, start + given.seconds, given.again).run(steps)
        except NoGpu:
            sys.exit("no CUDA device here; --device cpu runs every step at toy sizes")
        call = f"python -m benchmarks.gpu_check {' '.join(sys.argv[1:])}".strip()
        lines.add({"call": call, "seconds": round(time.monotonic() - start, 1), "left": left})
    path = given.out / name(lines)
    path.write_text(record(lines))
    print(f"{path}: to be kept in benchmarks/results; left: {'; '.join(left) or 'nothing'}")


if __name__ == "__main__":
    main()
