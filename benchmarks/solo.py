"""One network, one thread: this harness beside a hand-written loop, the usual Lightning set-up, and Keras.

python -m benchmarks.solo --write benchmarks/results/solo.md [--keras-python PYTHON]
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from benchmarks.contenders import Network
from benchmarks.contenders.process import Contender, write_data
from benchmarks.record import machine, write_result

NETWORKS = (
    Network("simple_rnn", 50, 50),
    Network("simple_rnn", 128, 128),
    Network("lstm", 128, 128),
    Network("gru", 128, 128),
    Network("gru", 200, 64, num_layers=3),
)
HARNESS, OWN = "harness", "bare:own"
CONTENDERS = {
    HARNESS: "this harness, everything on",
    OWN: "bare loop, this project's layers",
    "bare": "bare loop, torch.nn",
    "bare:floor": "floor: one fixed batch, this project's layers",
    "lightning": "usual Lightning + DataLoader + MLFlowLogger",
    "keras_fit:jax": "Keras on JAX",
    "keras_fit:tensorflow": "Keras on TensorFlow",
}
SECONDS_A_ROUND = 1.5


@dataclass
class Times:
    """Seconds a step in each round, and the seconds of a process that trains `steps` steps and ends."""

    rounds: list[float] = field(default_factory=list)
    whole: float = float("nan")


def measure(network: Network, names: Sequence[str], data: Path, repeats: int, keras: str) -> dict[str, Times]:
    """Every contender that runs here, in turn `repeats` times after a round to warm up."""
    found: dict[str, Times] = {}
    core = min(os.sched_getaffinity(0))
    with ExitStack() as stack:
        running: dict[str, tuple[Contender, int]] = {}
        for name in names:
            start = time.perf_counter()
            python = keras if name.startswith("keras") else sys.executable
            contender = Contender(name, network, data, core, python)
            stack.callback(contender.end)
            try:
                seconds = contender.train(60)
            except RuntimeError:
                print(f"{network.title}: {CONTENDERS[name]} does not run here", file=sys.stderr)
                continue
            found[name] = Times(whole=time.perf_counter() - start)
            running[name] = contender, max(40, int(SECONDS_A_ROUND / seconds))
        for _ in range(repeats):
            for name, (contender, steps) in running.items():
                found[name].rounds.append(contender.train(steps))
    return found


def ratio(times: Times, other: Times) -> float:
    """Steps per second of `times` as a multiple of the other's: the median over rounds taken in turn."""
    return statistics.median(b / a for a, b in zip(times.rounds, other.rounds, strict=True))


def best_keras(found: dict[str, Times]) -> str | None:
    names = [name for name in found if name.startswith("keras")]
    return min(names, key=lambda name: statistics.median(found[name].rounds)) if names else None


def report(results: dict[Network, dict[str, Times]], command: str) -> str:
    names = [name for name in CONTENDERS if any(name in found for found in results.values())]
    lines = [
        "# One network, one core",
        "",
        f"`{command}`",
        "",
        "Milliseconds a training step, medians of rounds taken in turn; each contender is a process of its own, all on "
        "one core. Of the harness, evaluations with their logging and the copy of the best weights are left out.",
        "",
        f"| network | {' | '.join(CONTENDERS[name] for name in names)} |",
        f"|---|{'---|' * len(names)}",
    ]
    for network, found in results.items():
        cells = [f"{1000 * statistics.median(found[name].rounds):.2f}" if name in found else "–" for name in names]
        lines.append(f"| {network.title} | {' | '.join(cells)} |")
    lines += [
        "",
        "Steps per second of the harness as a multiple of:",
        "",
        "| network | bare loop, same layers | bare loop, torch.nn | usual Lightning | the faster Keras | floor |",
        "|---|---|---|---|---|---|",
    ]
    for network, found in results.items():
        cells = []
        for name in (OWN, "bare", "lightning", best_keras(found), "bare:floor"):
            cells.append(f"{ratio(found[HARNESS], found[name]):.2f}" if name in found else "–")
        lines.append(f"| {network.title} | {' | '.join(cells)} |")
    lines += ["", "Seconds from the start of a process to the end of its first 60 steps (imports, compiling, all):", ""]
    lines += [f"| network | {' | '.join(CONTENDERS[name] for name in names)} |", f"|---|{'---|' * len(names)}"]
    for network, found in results.items():
        cells = [f"{found[name].whole:.1f}" if name in found else "–" for name in names]
        lines.append(f"| {network.title} | {' | '.join(cells)} |")
    return "\n".join([*lines, "", machine()]) + "\n"


def draw(results: dict[Network, dict[str, Times]], path: Path) -> None:
    """Milliseconds a step, a group of bars for each network."""
    figure = Figure(figsize=(9, 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    colors = ("#0072B2", "#56B4E9", "#999999", "#CCCCCC", "#D55E00", "#009E73", "#E69F00")
    width = 0.8 / len(CONTENDERS)
    for place, (name, title) in enumerate(CONTENDERS.items()):
        points = [(n, found[name]) for n, found in enumerate(results.values()) if name in found]
        if points:
            heights = [1000 * statistics.median(times.rounds) for _, times in points]
            axes.bar([n + place * width for n, _ in points], heights, width, color=colors[place], label=title)
    axes.set_xticks([n + 0.4 - width / 2 for n in range(len(results))], [network.title for network in results])
    axes.set_yscale("log")
    axes.set_ylabel("milliseconds a step")
    axes.grid(axis="y", alpha=0.3)
    axes.legend(frameon=False, fontsize=8)
    figure.savefig(path, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--only", nargs="*", choices=list(CONTENDERS), default=list(CONTENDERS))
    parser.add_argument("--networks", type=int, nargs="*", default=list(range(len(NETWORKS))), help="by their place")
    parser.add_argument("--keras-python", default=sys.executable, help="of an environment that has keras")
    parser.add_argument("--write", type=Path, help="the Markdown file to write; a picture and JSON go beside it")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data.npz"
        write_data(data)
        chosen = [NETWORKS[place] for place in arguments.networks]
        keras = arguments.keras_python
        results = {it: measure(it, arguments.only, data, arguments.repeats, keras) for it in chosen}
    write_result(report(results, f"python -m benchmarks.solo --repeats {arguments.repeats}"), arguments.write)
    if arguments.write is not None:
        draw(results, arguments.write.with_suffix(".png"))
        raw = {
            network.title: {name: asdict(times) for name, times in found.items()} for network, found in results.items()
        }
        arguments.write.with_suffix(".json").write_text(
            json.dumps({"machine": machine(), "times": raw}, indent=1) + "\n"
        )


if __name__ == "__main__":
    main()
