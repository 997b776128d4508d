"""The pictures of a search."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from recurrent_cells.reports.configurations import cell_label
from recurrent_cells.reports.figures import SIZE, cell_colors, plain_axes
from recurrent_cells.reports.metric import Metric
from recurrent_cells.statistics.budgets import chosen_of
from recurrent_cells.sweeps.search.ranges import Interval, Range, Value

MAIN, ACCENT, QUIET = "#0072B2", "#D55E00", "#777777"
COLORS = "viridis"
LABEL = {"facecolor": "white", "alpha": 0.7, "linewidth": 0, "pad": 1}
MOST_POINTS = 100
COSTS_SHOWN = {"n_params": "parameters", "seconds": "seconds of training"}
PARALLEL_WIDTH = 1.3  # inches between two axes


@dataclass(frozen=True)
class SearchTrial:
    """A trial of a search that came to a validation value, and its place in the order of proposal from 1.

    Args:
        chosen: what the search chose for each key.
        value: the best one on the validation data; `test` that of the same weights on the test data, NaN without one.
        costs: by the objectives that are costs.
    """

    place: int
    chosen: Mapping[str, Value]
    value: float
    pruned: bool
    cell: str = ""
    test: float = math.nan
    costs: Mapping[str, float] = field(default_factory=dict)


def draw_history(tried: Sequence[SearchTrial], selection: Metric) -> Figure:
    """The validation value by the order of proposal, and the best so far."""
    figure, axes = plain_axes()
    _scatter(axes, tried, lambda trial: trial.place, selection)
    best = accumulate((selection.scale * trial.value for trial in tried), max if selection.higher_is_better else min)
    places = [trial.place for trial in tried]
    axes.plot(places, list(best), color=ACCENT, drawstyle="steps-post", label="best so far")
    axes.set_xlabel("trial")
    axes.set_ylabel(selection.label)
    axes.legend(frameon=False, fontsize=9)
    return figure


def _scatter(axes: Axes, tried: Sequence[SearchTrial], x: Callable[[SearchTrial], float], selection: Metric) -> None:
    """The validation values, filled where a trial was trained in full."""
    for pruned, face in ((False, MAIN), (True, "none")):
        shown = [trial for trial in tried if trial.pruned == pruned]
        values, label = [selection.scale * trial.value for trial in shown], "pruned" if pruned else "trained in full"
        axes.scatter([x(trial) for trial in shown], values, s=22, facecolors=face, edgecolors=MAIN, label=label)


def draw_front(tried: Sequence[SearchTrial], front: Sequence[SearchTrial], cost: str, selection: Metric) -> Figure:
    """The validation value against a cost, and a line through the Pareto front."""
    figure, axes = plain_axes()
    _scatter(axes, tried, lambda trial: trial.costs[cost], selection)
    along = sorted(front, key=lambda trial: trial.costs[cost])
    heights = [selection.scale * trial.value for trial in along]
    axes.plot([trial.costs[cost] for trial in along], heights, color=ACCENT, drawstyle="steps-post", label="the front")
    axes.set_xscale("log")
    axes.set_xlabel(COSTS_SHOWN.get(cost, cost))
    axes.set_ylabel(selection.label)
    axes.legend(frameon=False, fontsize=9)
    return figure


def draw_budget(by_cell: Mapping[str, Sequence[SearchTrial]], selection: Metric, test: Metric) -> Figure:
    """For each cell the test value to expect of the trial that is best by validation among so many of its trials.

    Args:
        by_cell: trials that have a test value.
    """
    figure, axes = plain_axes()
    colors = cell_colors(list(by_cell))
    for cell, tried in by_cell.items():
        counts = np.unique(np.geomspace(1, len(tried), MOST_POINTS).round().astype(int))
        worth = [_worth(trial, selection) for trial in tried]
        levels = {it: level for level, it in enumerate(sorted(set(worth)))}
        values = [test.scale * trial.test for trial in tried]
        found = chosen_of(values, [levels[it] for it in worth], counts)
        axes.fill_between(counts, found.low, found.high, color=colors[cell], alpha=0.15, lw=0)
        axes.plot(counts, found.mean, color=colors[cell], label=cell_label(cell))
    axes.set_xlabel("trials of a cell")
    axes.set_ylabel(f"expected {test.label}")
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.legend(frameon=False, fontsize=9, loc="lower right" if test.higher_is_better else "upper right")
    return figure


def the_best(tried: Sequence[SearchTrial], selection: Metric) -> SearchTrial:
    """The trial that is best by validation among those that were trained in full, if there are any."""
    return max(tried, key=lambda trial: _worth(trial, selection))


def _worth(trial: SearchTrial, selection: Metric) -> tuple[bool, float]:
    """By which a trial is chosen: any that was trained in full before one that was not, then by validation."""
    return not trial.pruned, selection.rank(trial.value)


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


def draw_parallel(
    ranges: Mapping[str, Range], tried: Sequence[SearchTrial], best: SearchTrial, selection: Metric
) -> Figure:
    """An upright axis for each key, the choices spread over it, and a line for each trial, the better the later."""
    figure = Figure(figsize=(max(SIZE[0], PARALLEL_WIDTH * len(ranges) + 1.2), SIZE[1]), layout="constrained")
    axes = figure.add_subplot()
    values = [selection.scale * trial.value for trial in tried]
    shades = Normalize(min(values), max(values))
    colors = matplotlib.colormaps[COLORS]
    for trial in sorted(tried, key=lambda trial: _worth(trial, selection)):
        heights = [_height(range_, trial.chosen[key]) for key, range_ in ranges.items()]
        width = 3.0 if trial is best else 0.6 if trial.pruned else 1.3
        color = colors(shades(selection.scale * trial.value))
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
    figure.colorbar(ScalarMappable(shades, colors), ax=axes, label=selection.label)
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
