"""The pictures of a report: one colour for a cell in all of them, line style and marker where that is not enough."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter, NullLocator, ScalarFormatter
from numpy.typing import NDArray

from recurrent_cells.models.cells import CELLS
from recurrent_cells.reports.configurations import CELL, Configuration, best, cell_name
from recurrent_cells.reports.curves import Band
from recurrent_cells.reports.metric import Metric
from recurrent_cells.statistics.comparisons import estimate
from recurrent_cells.tracking.artifacts import HardImage

# Okabe and Ito's other colours, told apart by colour-blind eyes too, for cells that the table has no longer.
OTHER_COLORS = ("#CC79A7", "#E69F00", "#56B4E9", "#000000")
LINES = ("-", "--", ":", "-.", (0, (5, 1, 1, 1, 1, 1)))
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
SIZE = (4.8, 3.5)
MOST_ROWS = 40
HARD_IN_A_ROW = 4
MOST_LEGEND_LINES = 7


@dataclass(frozen=True)
class Style:
    color: str
    line: str | tuple[int, tuple[int, ...]]
    marker: str


@dataclass(frozen=True)
class Picture:
    """A figure with its file's name and the sentence below it."""

    name: str
    caption: str
    figure: Figure


def styles(drawn: Sequence[Configuration]) -> dict[str, Style]:
    """label → style: the colour tells the cell, the line style and marker the configuration within it."""
    others = sorted({one.cell for one in drawn} - CELLS.keys())
    colors = {name: cell.color for name, cell in CELLS.items()}
    colors |= {cell: OTHER_COLORS[n % len(OTHER_COLORS)] for n, cell in enumerate(others)}
    cells = list(CELLS) + others
    seen: Counter[str] = Counter()
    found = {}
    for one in drawn:
        place = seen[one.cell]
        marker = MARKERS[(cells.index(one.cell) + place) % len(MARKERS)]
        found[one.label] = Style(colors[one.cell], LINES[place % len(LINES)], marker)
        seen[one.cell] += 1
    return found


def draw_curves(bands: Mapping[str, Band], look: Mapping[str, Style], metric: Metric, x_label: str) -> Figure:
    """Mean over seeds as a line, from the lowest seed to the highest as a band; a loss on a logarithmic scale."""
    figure, axes = plain_axes()
    for label, band in bands.items():
        style = look[label]
        few = len(band.x) <= 15
        axes.fill_between(band.x, band.low * metric.scale, band.high * metric.scale, color=style.color, alpha=0.2, lw=0)
        axes.plot(
            band.x,
            band.mean * metric.scale,
            color=style.color,
            linestyle=style.line,
            marker=style.marker if few else None,
            markersize=4,
            label=label,
        )
    if not metric.higher_is_better:
        _logarithmic(axes, "y")
    axes.set_xlabel(x_label)
    axes.set_ylabel(metric.label)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:,.0f}" if x >= 10 or x == int(x) else f"{x:g}"))
    _legend(axes)
    return figure


def draw_seeds(drawn: Sequence[Configuration], look: Mapping[str, Style], metric: Metric) -> Figure:
    """A row for each configuration: every seed as a point, the mean and its 95 % interval."""
    rows = sorted((one for one in drawn if one.values(metric)), key=lambda one: one.mean(metric))
    rows = rows[-MOST_ROWS:] if metric.higher_is_better else rows[:MOST_ROWS][::-1]
    figure, axes = plain_axes(height=1.3 + 0.55 * len(rows) if len(rows) < 8 else 1.3 + 0.3 * len(rows))
    shown: list[float] = []
    for height, one in enumerate(rows):
        style = look[one.label]
        values = np.array(list(one.values(metric).values())) * metric.scale
        shift = np.linspace(0.12, 0.32, len(values)) if len(values) > 1 else np.array([0.2])
        axes.scatter(values, height - shift, s=18, color=style.color, marker=style.marker, alpha=0.65, lw=0)
        found = estimate(list(values))
        half = None if np.isnan(found.half) else found.half
        axes.errorbar(
            found.mean, height + 0.1, xerr=half, color=style.color, marker=style.marker, markersize=7, capsize=4
        )
        shown.extend(values)
    low, high = min(shown), max(shown)
    room = max(high - low, 1e-3 * abs(high)) * 0.6
    axes.set_xlim(low - room, min(high + room, 100.2) if metric.is_accuracy else high + room)
    axes.set_ylim(-0.6, len(rows) - 0.4)
    axes.set_yticks(range(len(rows)), [one.label for one in rows])
    axes.set_xlabel(metric.label)
    axes.grid(axis="y", visible=False)
    return figure


def draw_cost(drawn: Sequence[Configuration], look: Mapping[str, Style], metric: Metric, cost: str) -> Figure:
    """The metric against `parameters` or `seconds`: means large, seeds small, and the Pareto front."""
    figure, axes = plain_axes()
    points = []
    by_cell = len(drawn) > MOST_LEGEND_LINES and len({one.cell for one in drawn}) > 1
    named: set[str] = set()
    for one in drawn:
        values = one.values(metric)
        if not values:
            continue
        style = look[next(it.label for it in drawn if it.cell == one.cell)] if by_cell else look[one.label]
        trials = [trial for trial in one.trials if trial.seed in values]
        xs = [trial.seconds if cost == "seconds" else trial.n_params for trial in trials]
        ys = [values[trial.seed] * metric.scale for trial in trials]
        axes.scatter(xs, ys, s=12, color=style.color, marker=style.marker, alpha=0.5, lw=0)
        x, y = float(np.mean(xs)), float(np.mean(ys))
        axes.scatter(
            x,
            y,
            s=60,
            color=style.color,
            marker=style.marker,
            label=_once(cell_name(one.cell) if by_cell else one.label, named),
            zorder=3,
        )
        points.append((x, y))
    front = pareto_front(points, metric.higher_is_better)
    if len(points) > 1:
        axes.plot(*zip(*front, strict=True), color="#555555", lw=1, ls="--", zorder=1, label="Pareto front")
    _logarithmic(axes, "x")
    axes.set_xlabel("trainable parameters" if cost == "parameters" else "seconds of training and testing")
    axes.set_ylabel(metric.label)
    _legend(axes)
    return figure


def pareto_front(points: Sequence[tuple[float, float]], higher_is_better: bool) -> list[tuple[float, float]]:
    """Of (cost, value): those that no other beats in one without losing in the other, by rising cost."""
    sign = 1 if higher_is_better else -1
    front: list[tuple[float, float]] = []
    for cost, value in sorted(points, key=lambda point: (point[0], -sign * point[1])):
        if not front or sign * value > sign * front[-1][1]:
            front.append((cost, value))
    return front


def draw_effect(drawn: Sequence[Configuration], look: Mapping[str, Style], metric: Metric, key: str) -> Figure:
    """The metric by the values of a swept key, a line for each cell, the other keys at their best by validation."""
    figure, axes = plain_axes()
    values = _in_order({one.settings[key] for one in drawn})
    numbers = _numbers(values)
    xs = dict(zip(values, numbers if numbers is not None else range(len(values)), strict=True))
    for cell in dict.fromkeys(one.cell for one in drawn):
        chosen = {}
        for value in values:
            group = [one for one in drawn if one.cell == cell and one.settings[key] == value and one.values(metric)]
            if group:
                chosen[value] = best(group)
        first = next((one for one in drawn if one.cell == cell), None)
        if not chosen or first is None:
            continue
        style = look[first.label]
        for value, one in chosen.items():
            found = np.array(list(one.values(metric).values())) * metric.scale
            axes.scatter([xs[value]] * len(found), found, s=14, color=style.color, alpha=0.5, lw=0)
        means = [one.mean(metric) * metric.scale for one in chosen.values()]
        axes.plot([xs[value] for value in chosen], means, color=style.color, marker=style.marker, label=cell_name(cell))
    if numbers is None:
        axes.set_xticks(range(len(values)), values)
    else:
        if min(numbers) > 0 and max(numbers) / min(numbers) >= 4:
            axes.set_xscale("log")
            axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xticks(numbers, values)
    if not metric.higher_is_better:
        _logarithmic(axes, "y")
    axes.set_xlabel(key)
    axes.set_ylabel(metric.label)
    _legend(axes)
    return figure


def draw_confusion(counts: NDArray[np.int64], title: str) -> Figure:
    """Rows are labels, columns answers; in each row the share of wrong answers, the diagonal uncoloured."""
    figure = Figure(figsize=(4.8, 4.8), layout="constrained")
    axes = figure.add_subplot()
    totals = np.maximum(counts.sum(axis=1, keepdims=True), 1)
    shares = 100 * counts / totals
    errors = np.where(np.eye(len(counts), dtype=bool), 0, shares)
    axes.imshow(errors, cmap="Oranges", vmin=0, vmax=max(errors.max() * 1.4, 1e-9))
    if len(counts) <= 20:
        for row, column in np.ndindex(*counts.shape):
            if counts[row, column]:
                share = shares[row, column]
                text = f"{share:.1f}" if share >= 0.05 else "·"
                axes.text(column, row, text, ha="center", va="center", fontsize=7.5)
        axes.set_xticks(range(len(counts)))
        axes.set_yticks(range(len(counts)))
    axes.set_xlabel("answer")
    axes.set_ylabel("label")
    axes.set_title(title, fontsize=11)
    return figure


def draw_hardest(images: Sequence[HardImage]) -> Figure:
    """Every image with its label, the answer and how likely the network took each to be."""
    rows = math.ceil(len(images) / HARD_IN_A_ROW)
    figure = Figure(figsize=(SIZE[0], 0.3 + 1.45 * rows), layout="constrained")
    for place, image in enumerate(images, start=1):
        axes = figure.add_subplot(rows, HARD_IN_A_ROW, place)
        axes.imshow(image.pixels, cmap="gray_r", vmin=0, vmax=255)
        axes.set_axis_off()
        chances = f"{100 * image.label_probability:.2g} % / {100 * image.probability:.3g} %"
        axes.set_title(f"{image.label} read as {image.answer}\n{chances}", fontsize=8)
    return figure


def plain_axes(height: float = SIZE[1]) -> tuple[Figure, Axes]:
    """A figure of one panel with a light grid."""
    figure = Figure(figsize=(SIZE[0], height), layout="constrained")
    axes = figure.add_subplot()
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _once(name: str, named: set[str]) -> str | None:
    """A name for the legend the first time, None after that."""
    if name in named:
        return None
    named.add(name)
    return name


def _legend(axes: Axes) -> None:
    handles, labels = axes.get_legend_handles_labels()
    if 0 < len(labels) <= MOST_LEGEND_LINES:
        axes.legend(handles, labels, frameon=False, fontsize=9)
    elif labels:
        axes.legend(
            handles, labels, frameon=False, fontsize=6, ncols=2, loc="upper center", bbox_to_anchor=(0.5, -0.18)
        )


def _logarithmic(axes: Axes, which: str) -> None:
    """A logarithmic axis with plain numbers, at 1, 2 and 5 where there is less than a decade or two."""
    axis = axes.xaxis if which == "x" else axes.yaxis
    limits = axis.get_data_interval()
    if not limits[0] > 0:
        return
    axes.set_xscale("log") if which == "x" else axes.set_yscale("log")
    ticks = [m * 10.0**e for e in range(-8, 12) for m in (1, 1.5, 2, 3, 5, 7)]
    wide = limits[1] / limits[0] > 30
    chosen = [t for t in ticks if limits[0] * 0.95 <= t <= limits[1] * 1.05]
    if wide:
        chosen = [t for t in chosen if f"{t:e}"[0] in "1" and f"{t:e}"[2] == "0"] or chosen
    axis.set_minor_locator(NullLocator())
    axis.set_minor_formatter(NullFormatter())
    if len(chosen) >= 2:
        axis.set_ticks(chosen)
        axis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:,.0f}" if x >= 10 else f"{x:g}"))
    else:
        axis.set_major_formatter(ScalarFormatter())


def _numbers(values: Sequence[str]) -> list[float] | None:
    try:
        return [float(value) for value in values]
    except ValueError:
        return None


def _in_order(values: set[str]) -> list[str]:
    if _numbers(list(values)) is None:
        return sorted(values)
    return sorted(values, key=float)


def effect_keys(drawn: Sequence[Configuration], swept: Sequence[str]) -> list[str]:
    """The settings among `swept`, the cell left out, of which some cell has more than one value."""
    cells = {one.cell for one in drawn}
    return [
        key
        for key in swept
        if key != CELL and any(len({one.settings[key] for one in drawn if one.cell == cell}) > 1 for cell in cells)
    ]
