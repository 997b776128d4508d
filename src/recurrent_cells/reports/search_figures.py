"""The pictures of a search."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

import matplotlib
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from recurrent_cells.reports.configurations import SELECTION
from recurrent_cells.reports.figures import SIZE, plain_axes
from recurrent_cells.sweeps.search.ranges import Interval, Range, Value

MAIN, ACCENT, QUIET = "#0072B2", "#D55E00", "#777777"
COLORS = "viridis"
LABEL = {"facecolor": "white", "alpha": 0.7, "linewidth": 0, "pad": 1}
PARALLEL_WIDTH = 1.3  # inches between two axes


@dataclass(frozen=True)
class Tried:
    """A trial of a search that came to a validation accuracy: its place in the order, what was chosen, how it ended."""

    place: int
    values: Mapping[str, Value]
    accuracy: float
    pruned: bool


def draw_history(tried: Sequence[Tried]) -> Figure:
    """Accuracy by the order of proposal, and the best so far."""
    figure, axes = plain_axes()
    places = [it.place for it in tried]
    accuracies = [SELECTION.scale * it.accuracy for it in tried]
    for pruned, face in ((False, MAIN), (True, "none")):
        chosen = [n for n, it in enumerate(tried) if it.pruned == pruned]
        axes.scatter(
            [places[n] for n in chosen],
            [accuracies[n] for n in chosen],
            s=22,
            facecolors=face,
            edgecolors=MAIN,
            label="pruned" if pruned else "trained in full",
        )
    axes.plot(places, list(accumulate(accuracies, max)), color=ACCENT, drawstyle="steps-post", label="best so far")
    axes.set_xlabel("trial")
    axes.set_ylabel(SELECTION.label)
    axes.legend(frameon=False, fontsize=9)
    return figure


def draw_importances(importances: Mapping[str, float]) -> Figure:
    """A bar for each key, the longest on top."""
    figure, axes = plain_axes(height=1.1 + 0.35 * len(importances))
    keys = list(importances)[::-1]
    axes.barh(keys, [importances[key] for key in keys], color=MAIN, height=0.6)
    for height, key in enumerate(keys):
        axes.text(importances[key], height, f" {importances[key]:.2f}", va="center", fontsize=9)
    axes.set_xlim(0, max(importances.values()) * 1.15)
    axes.set_axisbelow(True)
    axes.set_xlabel("importance")
    axes.grid(axis="y", visible=False)
    return figure


def draw_parallel(ranges: Mapping[str, Range], tried: Sequence[Tried], best: Tried) -> Figure:
    """An upright axis for each key, the choices spread over it, and a line for each trial."""
    figure = Figure(figsize=(max(SIZE[0], PARALLEL_WIDTH * len(ranges) + 1.2), SIZE[1]), layout="constrained")
    axes = figure.add_subplot()
    accuracies = [SELECTION.scale * it.accuracy for it in tried]
    shades = Normalize(min(accuracies), max(accuracies))
    colors = matplotlib.colormaps[COLORS]
    for it in sorted(tried, key=lambda it: (not it.pruned, it.accuracy)):
        heights = [_height(range_, it.values[key]) for key, range_ in ranges.items()]
        width = 3.0 if it is best else 0.6 if it.pruned else 1.3
        color = colors(shades(SELECTION.scale * it.accuracy))
        axes.plot(range(len(ranges)), heights, color=color, lw=width, marker="o", markersize=2 + width)
    for place, range_ in enumerate(ranges.values()):
        axes.axvline(place, color=QUIET, lw=0.8, zorder=0)
        for height, label in _ticks(range_):
            axes.text(place + 0.04, height, label, fontsize=8, va="center", bbox=LABEL)
    axes.set_xticks(range(len(ranges)), [key.replace(".", ".\n", 1) for key in ranges], fontsize=8)
    axes.set_xlim(-0.2, len(ranges) - 0.4)
    axes.set_ylim(-0.06, 1.06)
    axes.yaxis.set_visible(False)
    axes.spines[:].set_visible(False)
    figure.colorbar(ScalarMappable(shades, colors), ax=axes, label=SELECTION.label)
    return figure


def _height(range_: Range, value: Value) -> float:
    """Where a value lies between the ends of its range, from 0 to 1."""
    if not isinstance(range_, Interval):
        index = range_.values.index(str(value)) if str(value) in range_.values else 0
        return index / max(len(range_.values) - 1, 1)
    low, high, at = range_.low, range_.high, float(value)
    if range_.log:
        low, high, at = math.log(low), math.log(high), math.log(at)
    return (at - low) / (high - low) if high > low else 0.5


def _ticks(range_: Range) -> list[tuple[float, str]]:
    if not isinstance(range_, Interval):
        return [(_height(range_, value), value) for value in range_.values]
    middle = math.sqrt(range_.low * range_.high) if range_.log else (range_.low + range_.high) / 2
    return [(_height(range_, value), f"{value:.3g}") for value in (range_.low, middle, range_.high)]
