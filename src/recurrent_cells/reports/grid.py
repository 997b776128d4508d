"""A picture of many comparisons: who is told apart from whom on which data."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import isnan
from statistics import mean

import numpy as np
from matplotlib.figure import Figure

from recurrent_cells.reports.metric import Metric
from recurrent_cells.statistics.comparisons import Estimate

WIDTH, HEIGHT, LETTER = 1.5, 0.48, 0.085  # inches of an entry, and of a letter above it


@dataclass(frozen=True)
class Entry:
    """What a configuration comes to on a data block, and the letters that it shares with those not told apart."""

    estimate: Estimate
    letters: str


def draw_grid(columns: Mapping[str, Mapping[str, Entry]], metric: Metric) -> Figure:
    """A row for each configuration, the best on average first, and a column for each data block.

    An entry's colour says where it lies between the worst and the best of its column.
    """
    places = {name: {label: place for place, label in enumerate(column)} for name, column in columns.items()}
    labels = list(dict.fromkeys(label for column in columns.values() for label in column))
    labels.sort(key=lambda label: mean(found[label] for found in places.values() if label in found))
    width = max(WIDTH, LETTER * max(map(len, columns)))
    figure = Figure(figsize=(1.4 + width * len(columns), 0.8 + HEIGHT * len(labels)), layout="constrained")
    axes = figure.add_subplot()
    shades = np.full((len(labels), len(columns)), np.nan)
    for x, column in enumerate(columns.values()):
        values = [entry.estimate.mean for entry in column.values()]
        low, high = min(values), max(values)
        for label, entry in column.items():
            y = labels.index(label)
            share = (entry.estimate.mean - low) / (high - low) if high > low else 1.0
            shades[y, x] = share if metric.higher_is_better else 1 - share
            axes.text(x, y - 0.14, _amount(entry.estimate, metric), ha="center", va="center", fontsize=8.5)
            axes.text(x, y + 0.24, entry.letters, ha="center", va="center", fontsize=8, style="italic")
    axes.imshow(shades, cmap="YlGn", vmin=0, vmax=1.6, aspect="auto")  # light enough for black text
    axes.set_xticks(range(len(columns)), list(columns), fontsize=9)
    axes.set_yticks(range(len(labels)), labels, fontsize=9)
    axes.tick_params(length=0, top=False, labeltop=True, bottom=False, labelbottom=False)
    axes.spines[:].set_visible(False)
    return figure


def _amount(found: Estimate, metric: Metric) -> str:
    value = f"{found.mean * metric.scale:.1f}" if metric.is_share else f"{found.mean:.3g}"
    if isnan(found.half):
        return value
    half = metric.half(found.half)
    return f"{value} ± {half * metric.scale:.1f}" if metric.is_share else f"{value} ± {half:.2g}"
