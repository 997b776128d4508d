"""What was measured, as a file that grows point by point."""

import json
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from benchmarks.contenders import Network
from benchmarks.packs.programs import BATCH_SIZE, Point, Shape
from benchmarks.record import machine

COLORS = {"simple_rnn": "#D55E00", "lstm": "#0072B2", "gru": "#009E73"}
# Trials one after another; gains are over the last of those that run here.
ONE_BY_ONE = {"bare": "one by one", "bare:graph": "one by one, as graphs"}


@dataclass
class Results:
    """Points, and for each network the seconds a step of trials one by one, by contender."""

    points: list[Point] = field(default_factory=list)
    one_by_one: dict[Network, dict[str, float]] = field(default_factory=dict)

    def gain(self, point: Point) -> float | None:
        """Trials a second as a multiple of those one by one, as graphs where there are any."""
        seconds = list(self.one_by_one.get(point.shape.network, {}).values())
        return seconds[-1] / point.seconds_a_trial if seconds else None


def table(results: Results) -> Iterator[str]:
    counts = sorted({point.count for point in results.points})
    alone = [name for name in ONE_BY_ONE if any(name in found for found in results.one_by_one.values())]
    heads = [*(ONE_BY_ONE[name] for name in alone), *(f"K = {count}" for count in counts)]
    yield f"| cell | hidden | precision | route | {' | '.join(heads)} |"
    yield "|---|---|---|---|" + "---|" * len(heads)
    rows: dict[Shape, dict[int, Point]] = defaultdict(dict)
    for point in results.points:
        rows[point.shape][point.count] = point
    for shape, found in rows.items():
        one_by_one = results.one_by_one.get(shape.network, {})
        cells = [f"{1000 * one_by_one[name]:.2f} ms" if name in one_by_one else "–" for name in alone]
        for count in counts:
            if count not in found:
                cells.append("–")
                continue
            gain, memory = results.gain(found[count]), found[count].memory
            remarks = [f"{gain:.1f} ×"] if gain else []
            remarks += [f"{memory / 2**20:.0f} MiB"] if memory else []
            cells.append(f"{1000 * found[count].seconds:.2f} ms" + (f" ({', '.join(remarks)})" if remarks else ""))
        yield f"| {shape.cell} | {shape.hidden_size} | {shape.arithmetic} | {shape.kernel} | {' | '.join(cells)} |"


def draw(points: Sequence[Point], path: Path) -> None:
    """Seconds a step against the number of trials in the program."""
    figure = Figure(figsize=(7, 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    curves: dict[Shape, list[Point]] = defaultdict(list)
    for point in points:
        curves[point.shape].append(point)
    styles = dict(zip(sorted({shape.hidden_size for shape in curves}), ("-", "--", ":", "-."), strict=False))
    markers = dict(
        zip(sorted({(it.arithmetic, it.kernel) for it in curves}), ("o", "s", "^", "v", "x", "+"), strict=False)
    )
    for shape, found in curves.items():
        axes.plot(
            [point.count for point in found],
            [1000 * point.seconds for point in found],
            color=COLORS[shape.cell],
            linestyle=styles[shape.hidden_size],
            marker=markers[shape.arithmetic, shape.kernel],
            markersize=4,
            label=f"{shape.cell} {shape.hidden_size}, {shape.arithmetic}, {shape.kernel}",
        )
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_xlabel("trials in a pack")
    axes.set_ylabel("milliseconds a step of all")
    axes.grid(alpha=0.3)
    axes.legend(frameon=False, fontsize=7)
    figure.savefig(path, dpi=110)


class Report:
    """A file that grows as results come; without one they are printed at the end alone."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self.results = Results()
        self._parts: dict[str, list[str]] = {}
        self._head = [
            "# Packs: many trials as one program",
            "",
            f"`python -m benchmarks.packs {' '.join(sys.argv[1:])}`",
        ]

    def add(self, part: str, lines: Iterator[str]) -> None:
        for line in lines:
            self._parts.setdefault(part, []).append(line)
            self.write()

    @property
    def text(self) -> str:
        lines = [*self._head, ""]
        if self.results.points:
            lines += [
                f"A step of all K trials of a program, batch {BATCH_SIZE}, 28 rows of 28; in brackets trials a second "
                "as a multiple of trials one after another in a loop by hand over torch.nn's layers, as graphs where "
                "there is a GPU.",
                "",
                *table(self.results),
                "",
            ]
        for part in self._parts.values():
            lines += part
        return "\n".join([*lines, machine()]) + "\n"

    def write(self) -> None:
        if self._path is None:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.write_text(self.text)
        if self.results.points:
            draw(self.results.points, self._path.with_suffix(".png"))
            alone = [asdict(network) | found for network, found in self.results.one_by_one.items()]
            raw = {"machine": machine(), "points": [asdict(it) for it in self.results.points], "one_by_one": alone}
            self._path.with_suffix(".json").write_text(json.dumps(raw, indent=1) + "\n")
