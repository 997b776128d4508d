"""The pictures a finished trial leaves."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from recurrent_cells.data.splits import Split, Splits

# Of sequences: in a row, and of classes that each have one.
MOST_FIRST = 10
MOST_CLASSES = 50
# A series of more features is drawn as an image.
MOST_CURVES = 12
MOST_TICKS = 20
MOST_OUTPUTS = 9
MOST_POINTS = 5000
# Of the worst cell of a confusion matrix: where the colours end, so that black numbers stay legible.
COLOURS_END = 1.4


def draw_sequence(axes: Axes, values: NDArray[Any], is_image: bool) -> None:
    """An image (H, W), or a series (T, F): a curve for each feature, or from left to right where there are many."""
    if is_image:
        low, high = (0, 255) if values.dtype == np.uint8 else (None, None)
        axes.imshow(values, cmap="gray_r", vmin=low, vmax=high)
    elif values.shape[1] > MOST_CURVES:
        axes.imshow(values.T, cmap="viridis", aspect="auto")
    else:
        axes.plot(values, linewidth=0.8, marker="." if len(values) == 1 else "")
        axes.margins(x=0)
    axes.set_axis_off()


def first_sequences(splits: Splits) -> Figure:
    """The first training sequences of each class, or of all, as the network reads them, with their targets."""
    chosen = _first(splits)
    columns = min(math.ceil(len(chosen) / 2), MOST_FIRST)
    rows = math.ceil(len(chosen) / columns)
    figure = _figure(5 if columns < MOST_FIRST else 9, 1.2 * rows)
    side = math.isqrt(splits.num_features)
    one_step = splits.is_image and splits.num_steps == 1 and side**2 == splits.num_features
    split = splits.train
    for place, index in enumerate(chosen, start=1):
        length = None if split.lengths is None else int(split.lengths[index])
        sequence = split.sequences[index, :length].numpy()
        axes = figure.add_subplot(rows, columns, place)
        draw_sequence(axes, sequence.reshape(side, side) if one_step else sequence, splits.is_image)
        size = 10 if splits.class_names is None else 7
        axes.set_title(_asked(split, index, splits.class_names), fontsize=size, parse_math=False)
    return figure


def _first(splits: Splits) -> list[int]:
    """Places of training sequences in file order: of each class as many, of numbers and classes of steps the first."""
    targets = splits.train.targets
    if targets.is_floating_point() or targets.dim() > 1:
        return list(range(min(MOST_FIRST, len(targets))))
    classes = targets.unique()[:MOST_CLASSES]
    of_each = max(MOST_FIRST // len(classes), 1)
    return [int(place) for label in classes for place in torch.nonzero(targets == label).flatten()[:of_each]]


def _asked(split: Split, index: int, names: Sequence[str] | None) -> str:
    target = split.targets[index]
    if target.is_floating_point():
        return " ".join(f"{number:.3g}" for number in target.view(-1)[:3].tolist())
    if target.dim():
        return ""
    return str(int(target)) if names is None else names[int(target)]


def draw_accuracy_after_step(accuracy_by_step: list[float], path: Path) -> None:
    """What the network knows after it has read t steps."""
    figure = _figure(5, 3.2)
    axes = figure.add_subplot()
    axes.plot(range(1, len(accuracy_by_step) + 1), accuracy_by_step, color="#0072B2")
    axes.set_xlabel("steps read")
    axes.set_ylabel("accuracy on the test sequences")
    axes.set_ylim(0, 1)
    axes.grid(alpha=0.3)
    figure.savefig(path, dpi=100)


def draw_confusion(confusion: list[list[int]], names: Sequence[str] | None, path: Path) -> None:
    """Rows are labels, columns answers; the diagonal is left uncoloured so that errors show."""
    size = len(confusion)
    errors = [[0 if row == column else confusion[row][column] for column in range(size)] for row in range(size)]
    figure = Figure(figsize=(5, 5))
    FigureCanvasAgg(figure)
    # To lay the axes out by themselves would take as long as to draw them; names need more room than numbers.
    left, bottom = (0.11, 0.08) if names is None else (0.25, 0.22)
    axes = figure.add_axes((left, bottom, 0.98 - left, 0.93 - bottom))
    axes.imshow(errors, cmap="Oranges", vmin=0, vmax=COLOURS_END * max(map(max, errors)) or 1)
    if size <= MOST_TICKS:
        for row in range(size):
            for column in range(size):
                if confusion[row][column]:
                    axes.text(column, row, str(confusion[row][column]), ha="center", va="center", fontsize=8)
        label_classes(axes, size, names)
    axes.set_xlabel("answer")
    axes.set_ylabel("label")
    right = sum(confusion[index][index] for index in range(size))
    axes.set_title(f"test: {right} of {sum(map(sum, confusion))} right", fontsize=10)
    figure.savefig(path, dpi=100)


def label_classes(axes: Axes, size: int, names: Sequence[str] | None) -> None:
    """Ticks of both axes of a confusion matrix: numbers of classes, or their names."""
    if names is None:
        axes.set_xticks(range(size))
        axes.set_yticks(range(size))
    else:
        axes.set_xticks(range(size), names, rotation=90, fontsize=7, parse_math=False)
        axes.set_yticks(range(size), names, fontsize=7, parse_math=False)


def draw_numbers(answers: NDArray[Any], targets: NDArray[Any]) -> Figure:
    """Predicted against true numbers, both (N, O), a panel for each of the first outputs, with the line of no error."""
    outputs = min(answers.shape[1], MOST_OUTPUTS)
    columns = min(outputs, 3)
    figure = _figure(1 + 3.4 * columns, 3.6 * math.ceil(outputs / columns))
    for output in range(outputs):
        axes = figure.add_subplot(math.ceil(outputs / columns), columns, output + 1)
        true, answered = targets[:MOST_POINTS, output], answers[:MOST_POINTS, output]
        axes.scatter(true, answered, s=8, alpha=0.5, color="#0072B2", linewidths=0)
        both = [float(end) for end in (min(true.min(), answered.min()), max(true.max(), answered.max()))]
        axes.plot(both, both, color="grey", linewidth=0.8)
        axes.set_aspect("equal")
        axes.set_xlabel("true" if outputs == 1 else f"true, output {output + 1}")
        axes.set_ylabel("predicted")
        axes.grid(alpha=0.3)
    return figure


def _figure(width: float, height: float) -> Figure:
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure
