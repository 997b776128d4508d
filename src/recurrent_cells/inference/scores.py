"""An evaluation as plain text."""

from recurrent_cells.inference.evaluation import Evaluation
from recurrent_cells.sweeps.summary import table


def as_text(evaluation: Evaluation) -> str:
    """The scores, then tables of classes, confusions, calibration and steps."""
    low, high = evaluation.interval
    accuracy = f"accuracy {evaluation.accuracy:.4f} (95 % interval {low:.4f} to {high:.4f})"
    if evaluation.recorded is not None:
        accuracy += f", recorded by the trial {evaluation.recorded:.4f}"
    lines = [
        f"{evaluation.name} (run {evaluation.run_id}) on {evaluation.count:,} test images of data={evaluation.data}",
        accuracy,
        f"loss {evaluation.loss:.4f}  expected calibration error {evaluation.calibration_error:.4f}",
        *_section("Each class", _classes(evaluation)),
        *_section("Confusions: rows are labels, columns answers", _confusion(evaluation)),
        *_section("Calibration: the answer's probability, and how often it is right", _reliability(evaluation)),
    ]
    if evaluation.accuracy_by_step is None:
        return "\n".join([*lines, "", f"No accuracy after each step: {evaluation.no_steps}"])
    rows = [[str(count), f"{value:.4f}"] for count, value in enumerate(evaluation.accuracy_by_step, start=1)]
    return "\n".join([*lines, *_section("Accuracy after each step", [["steps read", "accuracy"], *rows])])


def _section(title: str, rows: list[list[str]]) -> list[str]:
    return ["", title, *table(rows)]


def _classes(evaluation: Evaluation) -> list[list[str]]:
    rows = [
        [str(score.label), str(score.count), _score(score.precision), _score(score.recall)]
        for score in evaluation.classes
    ]
    return [["class", "images", "precision", "recall"], *rows]


def _score(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"


def _confusion(evaluation: Evaluation) -> list[list[str]]:
    header = ["", *(str(label) for label in range(len(evaluation.confusion)))]
    rows = [
        [str(label), *("·" if count == 0 else str(count) for count in row)]
        for label, row in enumerate(evaluation.confusion)
    ]
    return [header, *rows]


def _reliability(evaluation: Evaluation) -> list[list[str]]:
    rows = [
        [f"{it.low:.3f} to {it.high:.3f}", str(it.count), f"{it.confidence:.4f}", f"{it.accuracy:.4f}"]
        for it in evaluation.reliability
    ]
    return [["probability", "images", "mean probability", "accuracy"], *rows]
