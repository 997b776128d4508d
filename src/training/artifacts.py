"""The files a finished trial leaves: its config, its best weights, its confusion matrix."""

from dataclasses import asdict
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from omegaconf import OmegaConf

from src.config import Config
from src.data.splits import Splits
from src.training import state
from src.training.module import TrialModule


def write_config(folder: Path, config: Config) -> None:
    (folder / "config.yaml").write_text(OmegaConf.to_yaml(OmegaConf.create(asdict(config))))


def write_results(folder: Path, module: TrialModule, splits: Splits) -> None:
    """The weights that were tested, with all it takes to use them, and where they were wrong."""
    content = {
        "weights": module.classifier.state_dict(),
        "step": module.step if module.config.trainer.test_with == "last" else module.best_step,
        "config": asdict(module.config),
        "num_features": splits.num_features,
        "num_classes": splits.num_classes,
        "offset": splits.offset,
        "scale": splits.scale,
    }
    state.save(content, folder / "best.ckpt")
    confusion = module.tally.confusion
    lines = [",".join(str(count) for count in row) for row in confusion]
    (folder / "confusion_matrix.csv").write_text("\n".join(lines) + "\n")
    draw_confusion(confusion, folder / "confusion_matrix.png")


def draw_confusion(confusion: list[list[int]], path: Path) -> None:
    """Rows are labels, columns answers; the diagonal is left uncoloured so that errors show."""
    size = len(confusion)
    errors = [[0 if row == column else confusion[row][column] for column in range(size)] for row in range(size)]
    figure = Figure(figsize=(5, 5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
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
