"""The pictures of a report: a cell has one colour in all of them, its configurations have line styles and markers."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator

from recurrent_cells.reports.configurations import CELL, Configuration, best, by, cell_class, cell_label
from recurrent_cells.reports.confusion import Confusion
from recurrent_cells.reports.curves import Band
from recurrent_cells.reports.metric import Metric
from recurrent_cells.statistics.comparisons import estimate
from recurrent_cells.statistics.fronts import fronts
from recurrent_cells.tracking.artifacts import HardExample
from recurrent_cells.training.pictures import COLOURS_END, draw_sequence, label_classes

# Okabe and Ito's other colours, told apart by colour-blind eyes too, and more, for cells that the table does not have.
OTHER_COLORS = ("#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8C8C00")
LINES = ("-", "--", ":", "-.", (0, (5, 1, 1, 1, 1, 1)))
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
SIZE = (4.8, 3.5)
# Characters of a label for which there is room, and inches of each beyond.
SHORT_LABEL, LETTER = 26, 0.09
MOST_ROWS, FEWEST_OF_BLOCK = 40, 12
FEW_POINTS = 15
HARD_IN_A_ROW = 4
MOST_LEGEND_LINES = 7
# Characters of a name of which three stand side by side in a legend; inches of its lines.
SHORT_NAME, LEGEND_LINE = 16, 0.17
FEWEST_TICKS, MOST_TICKS = 3, 5
MOST_LEVEL_TICKS = 6
# Of values without an order: how wide cells spread around a value, at most how far from one another, and how far seeds
# stand from their mean.
BESIDE, STEP, ASIDE = 0.6, 0.2, 0.06


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
    """label → style: the colour tells the cell, the marker the configuration within it, the line also the data block.

    So a cell with one configuration on each data block has one colour and one marker. Of one cell alone the colours
    tell its configurations, from dark to light in their order.
    """
    cells = list(dict.fromkeys(one.cell for one in drawn))
    colors = cell_colors(cells)
    most = max(Counter((one.cell, one.block) for one in drawn).values(), default=1)
    seen: Counter[str] = Counter()
    on_block: Counter[tuple[str, str]] = Counter()
    found = {}
    for one in drawn:
        place = on_block[one.cell, one.block]
        marker = MARKERS[(cells.index(one.cell) + place) % len(MARKERS)]
        color = colors[one.cell] if len(cells) > 1 or most == 1 else _shade(place / (most - 1))
        found[one.label] = Style(color, LINES[seen[one.cell] % len(LINES)], marker)
        seen[one.cell] += 1
        on_block[one.cell, one.block] += 1
    return found


def cell_colors(cells: Sequence[str]) -> dict[str, str]:
    """cell → its own colour, or one of those for cells that the table does not have."""
    colors = {cell: str(cell_class(cell).color) for cell in cells if cell_class(cell)}
    others = sorted(cell for cell in cells if cell not in colors)
    free = [color for color in OTHER_COLORS if color not in colors.values()]
    return colors | {cell: free[n % len(free)] for n, cell in enumerate(others)}


def _shade(share: float) -> str:
    return to_hex(colormaps["viridis"](0.9 * share))


def draw_curves(bands: Mapping[str, Band], look: Mapping[str, Style], metric: Metric, x_label: str) -> Figure:
    """Mean over seeds as a line, from the lowest seed to the highest as a band; a loss on a logarithmic scale."""
    figure, axes = plain_axes()
    for label, band in bands.items():
        style, scale = look[label], metric.scale
        marker = style.marker if len(band.x) <= FEW_POINTS else None
        axes.fill_between(band.x, band.low * scale, band.high * scale, color=style.color, alpha=0.2, lw=0)
        line: dict[str, Any] = {"color": style.color, "linestyle": style.line, "marker": marker, "markersize": 4}
        axes.plot(band.x, band.mean * scale, label=label, **line)
    if not metric.higher_is_better:
        _logarithmic(axes, "y")
    axes.set_xlabel(x_label)
    axes.set_ylabel(metric.label)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:,.0f}" if x >= 10 or x == int(x) else f"{x:g}"))
    _legend(axes)
    return figure


def best_of_blocks(found: Sequence[Configuration], metric: Metric) -> list[Configuration]:
    """The configurations that have a picture's rows: data blocks one by one, the best of each."""
    by_block: dict[str, list[Configuration]] = {}
    for one in found:
        by_block.setdefault(one.block, []).append(one)
    most = max(MOST_ROWS // max(len(by_block), 1), FEWEST_OF_BLOCK)
    return [
        one
        for of_block in by_block.values()
        for one in sorted(of_block, key=lambda one: -metric.rank(one.mean(metric)))[:most]
    ]


def draw_seeds(
    drawn: Sequence[Configuration], look: Mapping[str, Style], metric: Metric, groups: Mapping[str, int]
) -> Figure:
    """A row for each configuration: every seed as a point, the mean and its 95 % interval; data blocks one by one.

    Args:
        drawn: as `best_of_blocks` gives them.
        groups: label → of how many configurations the intervals hold at once.
    """
    rows = drawn[::-1]
    room = max(max(len(one.label) for one in rows) - SHORT_LABEL, 0) * LETTER
    figure, axes = plain_axes(1.3 + (0.55 if len(rows) < 8 else 0.3) * len(rows), SIZE[0] + room)
    shown: list[float] = []
    intervals: list[tuple[float, float, float, str]] = []
    for height, one in enumerate(rows):
        style = look[one.label]
        values = np.array(list(one.values(metric).values())) * metric.scale
        shift = np.linspace(0.12, 0.32, len(values)) if len(values) > 1 else np.array([0.2])
        axes.scatter(values, height - shift, s=18, color=style.color, marker=style.marker, alpha=0.65, lw=0)
        found = estimate(list(values), groups.get(one.label, 1))
        half = None if np.isnan(found.half) else found.half
        intervals.append((height + 0.1, found.mean - (half or 0), found.mean + (half or 0), style.color))
        marks: dict[str, Any] = {"color": style.color, "marker": style.marker, "markersize": 7, "capsize": 4}
        axes.errorbar(found.mean, height + 0.1, xerr=half, **marks)
        shown.extend(values)
    room = max(max(shown) - min(shown), 1e-3 * abs(max(shown)))
    low = max(min(min(shown), *(start for _, start, _, _ in intervals)), min(shown) - room) - room / 5
    high = min(max(max(shown), *(end for _, _, end, _ in intervals)), max(shown) + room) + room / 5
    high = min(high, 100.2) if metric.is_share else high
    axes.set_xlim(low, high)
    for level, start, end, color in intervals:
        for beyond, edge, arrow in ((start < low, low, "<"), (end > high, high, ">")):
            if beyond:
                axes.plot(edge, level, marker=arrow, color=color, markersize=8, clip_on=False, zorder=4)
    axes.set_ylim(-0.6, len(rows) - 0.4)
    axes.set_yticks(range(len(rows)), [one.label for one in rows])
    for height, (below, above) in enumerate(pairwise(rows)):
        if below.block != above.block:
            axes.axhline(height + 0.5, color="#bbbbbb", lw=0.8)
    axes.xaxis.set_major_locator(MaxNLocator(MOST_TICKS))
    axes.set_xlabel(metric.label)
    axes.grid(axis="y", visible=False)
    return figure


def draw_cost(drawn: Sequence[Configuration], look: Mapping[str, Style], metric: Metric, cost: str) -> Figure:
    """The metric on one data block against `parameters` or `seconds`: means large, seeds small, the Pareto front."""
    figure, axes = plain_axes()
    points: list[tuple[float, float]] = []
    most = MOST_LEGEND_LINES if len({one.cell for one in drawn}) > 1 else 2 * MOST_LEGEND_LINES
    by_cell = len(drawn) > most
    for one in drawn:
        values = one.values(metric)
        if not values:
            continue
        style = look[next(other.label for other in drawn if other.cell == one.cell)] if by_cell else look[one.label]
        name = cell_label(one.cell) if by_cell else one.label
        new = name not in axes.get_legend_handles_labels()[1]
        trials = [trial for trial in one.trials if trial.seed in values]
        xs = [trial.seconds if cost == "seconds" else trial.n_params for trial in trials]
        ys = [values[trial.seed] * metric.scale for trial in trials]
        x, y = float(np.mean(xs)), float(np.mean(ys))
        marks: dict[str, Any] = {"color": style.color, "marker": style.marker}
        axes.scatter(xs, ys, s=12, alpha=0.5, lw=0, **marks)
        axes.scatter(x, y, s=60, zorder=3, label=name if new else None, **marks)
        points.append((x, y))
    if len(points) > 1:
        front = zip(*pareto_front(points, metric.higher_is_better), strict=True)
        axes.plot(*front, color="#555555", lw=1, ls="--", zorder=1, label="Pareto front")
    _logarithmic(axes, "x")
    axes.set_xlabel("trainable parameters" if cost == "parameters" else "seconds of training and testing")
    axes.set_ylabel(metric.label)
    _legend(axes)
    return figure


def pareto_front(points: Sequence[tuple[float, float]], higher_is_better: bool) -> list[tuple[float, float]]:
    """The points (cost, value) that no other equals in value at less cost, or beats at no more, by rising cost."""
    places = fronts([(-cost, value if higher_is_better else -value) for cost, value in points])
    return sorted({point for point, front in zip(points, places, strict=True) if front == 0})


def draw_effect(
    drawn: Sequence[Configuration], look: Mapping[str, Style], metric: Metric, key: str, groups: Mapping[str, int]
) -> Figure:
    """The metric by the values of a swept key for each cell, the other keys at their best by validation.

    Lines join the means over numbers; values without an order stand side by side, each mean with its 95 % interval.

    Args:
        groups: label → of how many configurations the intervals hold at once.
    """
    figure, axes = plain_axes()
    values = _in_order({one.settings[key] for one in drawn})
    numbers = _numbers(values)
    by_cell = by([one for one in drawn if one.values(metric)], lambda one: one.cell)
    by_value = {cell: by(own, lambda one: one.settings[key]) for cell, own in by_cell.items()}
    chosen = {cell: {value: best(group) for value, group in of_cell.items()} for cell, of_cell in by_value.items()}
    for cell, of_value in chosen.items():
        style = look[next(one.label for one in drawn if one.cell == cell)]
        if numbers is None:
            at = {values.index(value) + _shift(cell, value, chosen): one for value, one in of_value.items()}
            _draw_intervals(axes, at, style, metric, groups)
        else:
            at = {float(value): of_value[value] for value in values if value in of_value}
            _draw_joined(axes, at, style, metric)
    steep = 60 if len(values) > MOST_LEVEL_TICKS else 0
    if numbers is None:
        axes.set_xticks(range(len(values)), values, rotation=steep)
        axes.set_xlim(-0.5, len(values) - 0.5)
    else:
        if min(numbers) > 0 and max(numbers) / min(numbers) >= 4:
            axes.set_xscale("log")
            axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xticks(numbers, values, rotation=steep)
    if not metric.higher_is_better:
        _logarithmic(axes, "y")
    axes.set_xlabel(key)
    axes.set_ylabel(metric.label)
    _legend(axes)
    return figure


def _shift(cell: str, value: str, chosen: Mapping[str, Mapping[str, Configuration]]) -> float:
    """How far a cell stands beside a value that it shares with others."""
    here = [other for other, of_value in chosen.items() if value in of_value]
    return min(STEP, BESIDE / max(len(here) - 1, 1)) * (here.index(cell) - (len(here) - 1) / 2)


def _draw_joined(axes: Axes, at: Mapping[float, Configuration], style: Style, metric: Metric) -> None:
    """The seeds of a cell as points, and a line through their means."""
    for x, one in at.items():
        found = metric.scale * np.array(list(one.values(metric).values()))
        axes.scatter([x] * len(found), found, s=14, color=style.color, alpha=0.5, lw=0)
    means = [metric.scale * one.mean(metric) for one in at.values()]
    label = cell_label(next(iter(at.values())).cell)
    axes.plot(list(at), means, color=style.color, marker=style.marker, label=label)


def _draw_intervals(
    axes: Axes, at: Mapping[float, Configuration], style: Style, metric: Metric, groups: Mapping[str, int]
) -> None:
    """The means of a cell with their intervals, and the seeds beside them."""
    label: str | None = cell_label(next(iter(at.values())).cell)
    marks: dict[str, Any] = {"color": style.color, "marker": style.marker, "markersize": 6, "capsize": 3, "lw": 1.5}
    for x, one in at.items():
        values = metric.scale * np.array(list(one.values(metric).values()))
        found = estimate(list(values), groups.get(one.label, 1))
        half = None if np.isnan(found.half) else found.half
        axes.errorbar(x, found.mean, yerr=half, ls="none", label=label, **marks)
        axes.scatter([x + ASIDE] * len(values), values, s=14, color=style.color, alpha=0.5, lw=0)
        label = None


def draw_confusion(confusion: Confusion, title: str, worst: float) -> Figure:
    """Rows are labels, columns answers; in each row the share of wrong answers, the diagonal uncoloured.

    Args:
        worst: the share that has the darkest colour, one for all matrices that stand side by side.
    """
    figure = Figure(figsize=(4.8, 4.8), layout="constrained")
    axes = figure.add_subplot()
    counts, shares = confusion.counts, 100 * confusion.shares
    errors = np.where(np.eye(len(counts), dtype=bool), 0, shares)
    axes.imshow(errors, cmap="Oranges", vmin=0, vmax=COLOURS_END * 100 * worst or 1)
    if len(counts) <= 20:
        for row, column in np.ndindex(*counts.shape):
            if counts[row, column]:
                share = shares[row, column]
                text = f"{share:.1f}" if share >= 0.05 else "·"
                axes.text(column, row, text, ha="center", va="center", fontsize=7.5)
        label_classes(axes, len(counts), confusion.names)
    axes.set_xlabel("answer")
    axes.set_ylabel("label")
    axes.set_title(title, fontsize=11)
    return figure


def draw_hardest(examples: Sequence[HardExample], names: Sequence[str] | None) -> Figure:
    """Every image or series with its label, the answer and how likely the network took each to be."""
    rows = math.ceil(len(examples) / HARD_IN_A_ROW)
    figure = Figure(figsize=(SIZE[0], 0.3 + 1.45 * rows), layout="constrained")
    for place, one in enumerate(examples, start=1):
        axes = figure.add_subplot(rows, HARD_IN_A_ROW, place)
        draw_sequence(axes, one.values, one.is_image)
        chances = f"{100 * one.label_probability:.3g} % / {100 * one.probability:.3g} %"
        label, answer = (str(it) if names is None else names[it] for it in (one.label, one.answer))
        axes.set_title(f"{label} read as {answer}\n{chances}", fontsize=8, parse_math=False)
    return figure


def plain_axes(height: float = SIZE[1], width: float = SIZE[0]) -> tuple[Figure, Axes]:
    """A figure of one panel with a light grid."""
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.add_subplot()
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _legend(axes: Axes) -> None:
    """Beside the lines, or of many below the axes, in a figure that is as much higher."""
    handles, names = axes.get_legend_handles_labels()
    if 0 < len(names) <= MOST_LEGEND_LINES:
        axes.legend(frameon=False, fontsize=9)
    elif names and isinstance(figure := axes.figure, Figure):
        columns = 3 if max(map(len, names)) <= SHORT_NAME else 2
        figure.set_figheight(figure.get_figheight() + LEGEND_LINE * math.ceil(len(names) / columns))
        figure.legend(handles, names, frameon=False, fontsize=7, ncols=columns, loc="outside lower center")


def _logarithmic(axes: Axes, which: str) -> None:
    """A logarithmic axis with plain numbers; values that lie close together stay on a linear one, which has more."""
    axis = axes.xaxis if which == "x" else axes.yaxis
    low, high = axis.get_data_interval()
    if not low > 0:
        return
    ticks = [m * 10.0**e for e in range(-8, 12) for m in (1, 1.5, 2, 3, 5, 7)]
    ticks = [tick for tick in ticks if low * 0.95 <= tick <= high * 1.05]
    if high / low > 30:
        ticks = [tick for tick in ticks if f"{tick:e}".startswith("1.0")] or ticks
    if len(ticks) < FEWEST_TICKS:
        axis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:,.10g}"))
        axis.set_major_locator(MaxNLocator(4))
        return
    axes.set(**{f"{which}scale": "log"})
    axis.set_minor_locator(NullLocator())
    axis.set_ticks(ticks)
    axis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:,.0f}" if x >= 10 else f"{x:g}"))


def has_order(values: Iterable[str]) -> bool:
    """Whether the values of a key are numbers, between which a line says something."""
    return _numbers(list(values)) is not None


def _numbers(values: Sequence[str]) -> list[float] | None:
    try:
        return [float(value) for value in values]
    except ValueError:
        return None


def _in_order(values: set[str]) -> list[str]:
    """Numbers by their size, then words."""
    return sorted(values, key=lambda value: (not has_order([value]), float(value) if has_order([value]) else 0, value))


def effect_keys(drawn: Sequence[Configuration], swept: Sequence[str]) -> list[str]:
    """The settings among `swept`, the cell left out, of which some cell has more than one value."""
    cells = {one.cell for one in drawn}
    return [
        key
        for key in swept
        if key != CELL
        and all(key in one.settings for one in drawn)
        and any(len({one.settings[key] for one in drawn if one.cell == cell}) > 1 for cell in cells)
    ]
