"""A contender as a process: reads numbers of steps, a line each, and answers with seconds a step.

python -m benchmarks.contenders NAME NETWORK_AS_JSON DATA.npz, kept on one core if CORE has its number
"""

import json
import os
import sys
from importlib import import_module

import numpy as np

from benchmarks.contenders import Network


def main() -> None:
    if "CORE" in os.environ:
        os.sched_setaffinity(0, {int(os.environ["CORE"])})
    name, network, path = sys.argv[1:4]
    module, _, option = name.partition(":")
    arrays = np.load(path)
    prepare = import_module(f"benchmarks.contenders.{module}").prepare
    arguments = [Network(**json.loads(network)), arrays["x"], arrays["y"]]
    answers, sys.stdout = sys.stdout, sys.stderr  # libraries may print what they like
    train = prepare(*arguments, *([option] if option else []))
    for line in sys.stdin:
        print(train(int(line)), file=answers, flush=True)


if __name__ == "__main__":
    main()
