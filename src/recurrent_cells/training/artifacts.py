"""The files a finished trial leaves: its config, its best weights, its outcomes on the test data."""

import math
from dataclasses import asdict
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from recurrent_cells.config.schema import Config
from recurrent_cells.data.sequences import as_image
from recurrent_cells.data.splits import Splits
from recurrent_cells.tracking import artifacts
from recurrent_cells.tracking.artifacts import HardImage
from recurrent_cells.tracking.names import Artifact
from recurrent_cells.training import state
from recurrent_cells.training.fit import Tested
from recurrent_cells.training.member import Member


def write_config(folder: Path, config: Config) -> None:
    artifacts.write_config(folder, asdict(config))


def write_results(folder: Path, member: Member, tested: Tested, splits: Splits) -> str:
    """Write the weights that were tested, with all it takes to use them, and where they were wrong.

    Returns:
        the SHA-256 of the file of weights.
    """
    config, best = member.config, member.progress.best
    assert best is not None
    content = {
        "weights": member.classifier.state_dict(),
        "step": member.progress.step if config.trainer.test_with == "last" else best.step,
        "config": asdict(config),
        "num_features": splits.num_features,
        "num_classes": splits.num_outputs,
        "image_size": splits.image_size,
        "order": splits.reading.order,
        "offset": splits.offset,
        "scale": splits.scale,
    }
    digest = artifacts.write_checkpoint(folder, state.as_bytes(content))
    artifacts.write_outcomes(folder, tested.outcomes)
    if tested.confusion is not None:
        artifacts.write_confusion(folder, tested.confusion)
        draw_confusion(tested.confusion, folder / Artifact.CONFUSION_PICTURE)
        artifacts.write_hardest(folder, _hardest_images(tested, splits))
    if len(tested.scores) > 1:
        artifacts.write_after_step(folder, tested.scores)
        draw_accuracy_after_step(tested.scores, folder / Artifact.AFTER_STEP_PICTURE)
    if config.sweep.parent is None:
        first_digits(splits).savefig(folder / Artifact.FIRST_DIGITS, dpi=100)
    return digest


def _hardest_images(tested: Tested, splits: Splits) -> list[HardImage]:
    """The test images whose labels the network thought least likely."""
    form = (splits.reading, splits.image_size, splits.offset, splits.scale)
    return [
        HardImage(
            index=index,
            label=int(splits.test.targets[index]),
            answer=answer,
            probability=probability,
            label_probability=label_probability,
            pixels=as_image(splits.test.sequences[index], *form).numpy(),
        )
        for index, answer, probability, label_probability in tested.hardest
    ]


def _figure(width: float, height: float) -> Figure:
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def first_digits(splits: Splits, count: int = 10) -> Figure:
    """The first training images in file order as the network reads them, two rows of five, with their labels."""
    figure = _figure(5, 2.4)
    side = math.isqrt(splits.num_features)
    one_step = splits.num_steps == 1 and side**2 == splits.num_features
    for index in range(min(count, len(splits.train))):
        axes = figure.add_subplot(2, (count + 1) // 2, index + 1)
        sequence = splits.train.sequences[index].numpy()
        axes.imshow(sequence.reshape(side, side) if one_step else sequence, cmap="gray_r")
        axes.set_title(str(int(splits.train.targets[index])), fontsize=10)
        axes.set_axis_off()
    return figure


def draw_accuracy_after_step(accuracy_by_step: list[float], path: Path) -> None:
    """What the network knows after it has read t steps."""
    figure = _figure(5, 3.2)
    axes = figure.add_subplot()
    axes.plot(range(1, len(accuracy_by_step) + 1), accuracy_by_step, color="#0072B2")
    axes.set_xlabel("steps read")
    axes.set_ylabel("accuracy on the test images")
    axes.set_ylim(0, 1)
    axes.grid(alpha=0.3)
    figure.savefig(path, dpi=100)


def draw_confusion(confusion: list[list[int]], path: Path) -> None:
    """Rows are labels, columns answers; the diagonal is left uncoloured so that errors show."""
    size = len(confusion)
    errors = [[0 if row == column else confusion[row][column] for column in range(size)] for row in range(size)]
    figure = Figure(figsize=(5, 5))
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0.11, 0.08, 0.87, 0.85))  # to lay it out by itself would take as long as to draw it
    axes.imshow(errors, cmap="Oranges")
    if size <= 20:
        for row in range(size):
            for column in range(size):
                if confusion[row][column]:
                    axes.text(column, row, str(confusion[row][column]), ha="center", va="center", fontsize=8)
        axes.set_xticks(range(size))
        axes.set_yticks(range(size))
    axes.set_xlabel("answer")
    axes.set_ylabel("label")
    right = sum(confusion[index][index] for index in range(size))
    axes.set_title(f"test images: {right} of {sum(map(sum, confusion))} right", fontsize=10)
    figure.savefig(path, dpi=100)
