"""One network, one thread: this harness beside a hand-written loop, the usual Lightning set-up, and Keras.

python -m benchmarks.solo --write benchmarks/results/solo.md [--keras-python PYTHON]

All contenders compute in the precision that is named. Without a GPU all share one core; with one they take any.
What is measured is written network by network.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from benchmarks.contenders import Network
from benchmarks.contenders.process import Contender, take_turns, write_data
from benchmarks.record import machine

NETWORKS = (
    Network("simple_rnn", 50, 50),
    Network("simple_rnn", 128, 128),
    Network("lstm", 128, 128),
    Network("gru", 128, 128),
    Network("gru", 200, 64, num_layers=3),
)
HARNESS, KERNELS, OWN, GRAPH = "harness", "harness:kernels", "bare:own", "bare:graph"
CONTENDERS = {
    HARNESS: "this harness, everything on",
    KERNELS: "this harness without its CUDA graph",
    OWN: "bare loop, this project's layers",
    "bare": "bare loop, torch.nn",
    GRAPH: "bare loop, torch.nn, a step as one CUDA graph",
    "bare:floor": "floor: one fixed batch, this project's layers",
    "lightning": "usual Lightning + DataLoader + MLFlowLogger",
    "keras_fit:jax": "Keras on JAX",
    "keras_fit:tensorflow": "Keras on TensorFlow",
}
ON_GPU = (KERNELS, GRAPH)
SECONDS_A_ROUND = 1.5


@dataclass
class Times:
    """Seconds a step in each round, and the seconds of a process that trains `steps` steps and ends."""

    rounds: list[float] = field(default_factory=list)
    whole: float = float("nan")

    @property
    def median(self) -> float:
        return statistics.median(self.rounds)


def measure(network: Network, names: Sequence[str], data: Path, repeats: int, keras: str) -> dict[str, Times]:
    """Every contender that runs here, in turn `repeats` times after a round to warm up."""
    found: dict[str, Times] = {}
    core = None if torch.cuda.is_available() else min(os.sched_getaffinity(0))
    with ExitStack() as stack:
        running: dict[str, tuple[Contender, int]] = {}
        for name in names:
            start = time.perf_counter()
            python = keras if name.startswith("keras") else sys.executable
            contender = Contender(name, network, data, core, python)
            stack.callback(contender.end)
            try:
                seconds = contender.train(60)
            except RuntimeError as error:
                print(f"{network.title}: {CONTENDERS[name]} does not run here ({error})", file=sys.stderr)
                continue
            found[name] = Times(whole=time.perf_counter() - start)
            running[name] = contender, max(40, int(SECONDS_A_ROUND / seconds))
        for name, rounds in take_turns(running, repeats).items():
            found[name].rounds = rounds
    return found


def ratio(times: Times, other: Times) -> float:
    """Steps per second of `times` as a multiple of the other's: the median over rounds taken in turn."""
    return statistics.median(b / a for a, b in zip(times.rounds, other.rounds, strict=True))


def best_keras(found: dict[str, Times]) -> str | None:
    names = [name for name in found if name.startswith("keras")]
    return min(names, key=lambda name: found[name].median) if names else None


def report(results: dict[Network, dict[str, Times]], command: str) -> str:
    names = [name for name in CONTENDERS if any(name in found for found in results.values())]

    def table(value: Callable[[Network, Times], str]) -> list[str]:
        return [
            f"| network | {' | '.join(CONTENDERS[name] for name in names)} |",
            f"|---|{'---|' * len(names)}",
            *(
                f"| {it.title} | {' | '.join(value(it, found[name]) if name in found else '–' for name in names)} |"
                for it, found in results.items()
            ),
            "",
        ]

    others = {
        OWN: "bare loop, same layers",
        "bare": "bare loop, torch.nn",
        GRAPH: "that as a graph",
        "lightning": "usual Lightning",
        "keras": "the faster Keras",
        "bare:floor": "floor",
        KERNELS: "itself without the graph",
    }
    ratios = {network: _ratios(found, others) for network, found in results.items() if HARNESS in found}
    used = [name for name in others if any(name in found for found in ratios.values())]
    first, gpu = next(iter(results)), torch.cuda.is_available()
    products = f", float32 products {'in' if first.tf32 else 'not in'} TF32" if gpu else ""
    lines = [
        f"# One network, one {'GPU' if gpu else 'core'}",
        "",
        f"`{command}`",
        "",
        f"Milliseconds a training step in {first.precision}{products}, medians of rounds taken in turn; each contender "
        f"is a process of its own{'' if gpu else ', all on one core'}. Of the harness, evaluations with their logging "
        "and the copy of the best weights are left out.",
        "",
        *table(lambda _, times: f"{1000 * times.median:.2f}"),
        "Images per second:",
        "",
        *table(lambda network, times: f"{network.batch_size / times.median:,.0f}"),
        "Steps per second of the harness as a multiple of:",
        "",
        f"| network | {' | '.join(others[name] for name in used)} |",
        f"|---|{'---|' * len(used)}",
        *(
            f"| {network.title} | {' | '.join(f'{found[name]:.2f}' if name in found else '–' for name in used)} |"
            for network, found in ratios.items()
        ),
        "",
        "Seconds from the start of a process to the end of its first 60 steps (imports, compiling, all):",
        "",
        *table(lambda _, times: f"{times.whole:.1f}"),
        machine(),
    ]
    return "\n".join(lines) + "\n"


def _ratios(found: dict[str, Times], others: Iterable[str]) -> dict[str, float]:
    keras = best_keras(found)
    places = {name: keras if name == "keras" else name for name in others}
    return {name: ratio(found[HARNESS], found[place]) for name, place in places.items() if place in found}


def draw(results: dict[Network, dict[str, Times]], path: Path) -> None:
    """Milliseconds a step, a group of bars for each network."""
    figure = Figure(figsize=(9, 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    colors = ("#0072B2", "#56B4E9", "#999999", "#CCCCCC", "#F0E442", "#D55E00", "#009E73", "#E69F00", "#CC79A7")
    color_of = dict(zip(CONTENDERS, colors, strict=True))
    shown = [name for name in CONTENDERS if any(name in found for found in results.values())]
    width = 0.8 / len(shown)
    for place, name in enumerate(shown):
        points = [(n, found[name]) for n, found in enumerate(results.values()) if name in found]
        heights = [1000 * times.median for _, times in points]
        axes.bar([n + place * width for n, _ in points], heights, width, color=color_of[name], label=CONTENDERS[name])
    titles = [network.title.replace(", ", ",\n") for network in results]
    axes.set_xticks([n + 0.4 - width / 2 for n in range(len(results))], titles)
    axes.set_ylim(bottom=500 * min(times.median for found in results.values() for times in found.values()))
    axes.set_yscale("log")
    axes.set_ylabel("milliseconds a step")
    axes.grid(axis="y", alpha=0.3)
    axes.legend(frameon=False, fontsize=8)
    figure.savefig(path, dpi=110)


def command_line() -> str:
    """This command without what is told by where its output and Keras are."""
    pairs = zip(["", *sys.argv[1:]], sys.argv[1:], strict=False)
    elsewhere = ("--write", "--keras-python")
    return " ".join(["python -m benchmarks.solo", *(it for last, it in pairs if not {last, it} & set(elsewhere))])


def keep(results: dict[Network, dict[str, Times]], path: Path) -> str:
    """Write what was measured so far: the report, a picture and JSON beside it."""
    text = report(results, command_line())
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    draw(results, path.with_suffix(".png"))
    times = {
        network.title: {name: asdict(times) for name, times in found.items()} for network, found in results.items()
    }
    path.with_suffix(".json").write_text(json.dumps({"machine": machine(), "times": times}, indent=1) + "\n")
    return text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--repeats", type=int, default=5)
    here = [name for name in CONTENDERS if torch.cuda.is_available() or name not in ON_GPU]
    parser.add_argument("--only", nargs="*", choices=list(CONTENDERS), default=here)
    parser.add_argument("--networks", type=int, nargs="*", default=list(range(len(NETWORKS))), help="by their place")
    parser.add_argument("--batch-sizes", type=int, nargs="*", help="instead of each network's own")
    parser.add_argument("--precision", default="32-true", choices=["32-true", "bf16-mixed", "16-mixed"])
    parser.add_argument("--tf32", action="store_true", help="on a GPU: products of float32 in TF32")
    parser.add_argument("--keras-python", default=sys.executable, help="of an environment that has keras")
    parser.add_argument("--write", type=Path, help="the Markdown file to write; a picture and JSON go beside it")
    arguments = parser.parse_args()
    results: dict[Network, dict[str, Times]] = {}
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data.npz"
        write_data(data)
        named = [
            replace(NETWORKS[place], precision=arguments.precision, tf32=arguments.tf32) for place in arguments.networks
        ]
        chosen = [replace(it, batch_size=size) for it in named for size in arguments.batch_sizes or [it.batch_size]]
        path = arguments.write or Path(folder) / "solo.md"
        for network in chosen:
            results[network] = measure(network, arguments.only, data, arguments.repeats, arguments.keras_python)
            text = keep(results, path)
            print(f"{network.title}: done", file=sys.stderr, flush=True)
    print(text)


if __name__ == "__main__":
    main()
