"""A step in a process of its own: says on standard output, in JSON, when a point begins and what it came to.

python -m benchmarks.gpu_check.child MODULE CHECK_AS_JSON

The first point that fails ends the process: after an error a GPU may compute nothing any more.
"""

import json
import logging
import os
import sys
import time
import traceback
from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from typing import Any, TextIO

from benchmarks.gpu_check.check import Check

FAILED, NO_GPU = 3, 4  # exit codes, of which Python's own errors have others


class Warnings(logging.Handler):
    """Keeps what is warned of."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(record.getMessage()[:300])


def main() -> None:
    told: dict[str, Any] = json.loads(sys.argv[2])
    check = Check(told["device"], Path(told["data"]) if told["data"] else None, Path(told["out"]))
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # libraries and compilers may print what they like
    if check.device == "cpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
    if check.device == "gpu":
        import torch  # here: a step may do without

        if not torch.cuda.is_available():
            sys.exit(NO_GPU)
    step = import_module(sys.argv[1])
    sys.exit(0 if measure(step.points(check), set(told["known"]), answers) else FAILED)


def measure(points: Iterable[Any], known: set[str], answers: TextIO) -> bool:
    """Measure the points that are not known; False after the first that fails."""
    heard = Warnings()
    logging.getLogger().addHandler(heard)
    for name, act in points:
        if name in known:
            continue
        heard.said.clear()
        _say(answers, {"begins": name})
        start = time.perf_counter()
        try:
            line = {"result": act()}
        except Exception as error:
            traceback.print_exc()
            words = (str(error).strip().splitlines() or [""])[-1]
            line = {"error": f"{type(error).__name__}: {words}"[:500]}
        line |= {"point": name, "seconds": round(time.perf_counter() - start, 2)}
        _say(answers, line | ({"warnings": heard.said[:5]} if heard.said else {}))
        if "error" in line:
            return False
    return True


def _say(answers: TextIO, line: dict[str, Any]) -> None:
    print(json.dumps(line), file=answers, flush=True)


if __name__ == "__main__":
    main()
