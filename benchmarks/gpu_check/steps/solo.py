"""A step of one network: this harness with its graph and without, beside a loop by hand."""

import logging
import statistics
import tempfile
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.contenders import Network
from benchmarks.contenders.process import Contender, take_turns, together, write_data
from benchmarks.gpu_check.check import Check, Point
from benchmarks.solo import CONTENDERS, GRAPH, HARNESS, KERNELS, ON_GPU, OWN

TITLE, SECONDS, SHARE = "One network at a time", 30, 60
SECONDS_A_ROUND = 0.4

log = logging.getLogger(__name__)


def points(check: Check) -> Iterator[Point]:
    names = [HARNESS, KERNELS, OWN, "bare", GRAPH]
    here = [name for name in names if check.device == "gpu" or name not in ON_GPU]
    networks = [
        Network(*sizes, precision=precision, tf32=tf32)
        for precision, tf32 in reversed(check.sizes.arithmetics)  # first what is equal for all
        for sizes in check.sizes.networks
    ]
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data.npz"
        write_data(data)
        with together(here, networks[0], data) as contenders:
            for network in networks:
                name = f"{network.title}, {network.precision}{', TF32' if network.tf32 else ''}"
                yield Point(name, partial(measure, network, contenders, check.sizes.repeats))


def measure(network: Network, contenders: Mapping[str, Contender], repeats: int) -> dict[str, Any]:
    """Seconds a step in each round, by contender."""
    running = {}
    for name, contender in contenders.items():
        contender.take(network)
        try:
            running[name] = contender, max(20, int(SECONDS_A_ROUND / contender.train(40)))
        except RuntimeError as error:
            log.warning("%s", error)
    return {"rounds": take_turns(running, repeats)}


def report(found: Mapping[str, Any]) -> Iterator[str]:
    names = [name for name in CONTENDERS if any(name in result["rounds"] for result in found.values())]
    yield "Milliseconds a step; in brackets steps a second of the harness as a multiple, medians of rounds in turn."
    yield "In bf16-mixed cuDNN's layers compute in float16 under torch's autocast, without a scaled loss."
    yield from ["", f"| network | {' | '.join(CONTENDERS[name] for name in names)} |", f"|---|{'---|' * len(names)}"]
    for name, result in found.items():
        rounds, cells = result["rounds"], []
        for contender in names:
            if contender not in rounds:
                cells.append("–")
                continue
            ratio = statistics.median(b / a for a, b in zip(rounds[HARNESS], rounds[contender], strict=True))
            remark = "" if contender == HARNESS else f" ({ratio:.2f})"
            cells.append(f"{1000 * statistics.median(rounds[contender]):.3f}{remark}")
        yield f"| {name} | {' | '.join(cells)} |"
    yield ""
