"""A contender as a process: reads numbers of steps, a line each, and answers with seconds a step.

python -m benchmarks.contenders NAME NETWORK_AS_JSON DATA.npz, kept on one core if CORE has its number

A line with another network, as JSON, has the next steps train that one.
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
    data = arrays["x"], arrays["y"]
    prepare = import_module(f"benchmarks.contenders.{module}").prepare
    options = [option] if option else []
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # libraries and compilers may print what they like
    train = prepare(Network(**json.loads(network)), *data, *options)
    for line in sys.stdin:
        told = json.loads(line)
        if isinstance(told, dict):
            train = prepare(Network(**told), *data, *options)
        else:
            print(train(told), file=answers, flush=True)


if __name__ == "__main__":
    main()
