"""An evaluation as plain text."""

from recurrent_cells.inference.evaluation import ClassEvaluation, Evaluation, NumberEvaluation
from recurrent_cells.sweeps.view import table


def as_text(evaluation: ClassEvaluation | NumberEvaluation) -> str:
    """The scores, then tables: of classes, confusions and calibration, or of outputs; of steps."""
    if isinstance(evaluation, ClassEvaluation):
        scores, score, by_step = _of_classes(evaluation), "accuracy", evaluation.accuracy_by_step
    else:
        scores, score, by_step = _of_numbers(evaluation), "mse", evaluation.mse_by_step
    network = f"{evaluation.name} (run {evaluation.run_id})"
    lines = [f"{network} on {evaluation.count:,} test examples of data={evaluation.data}", *scores]
    if by_step is None:
        return "\n".join([*lines, "", f"No {score} after each step: {evaluation.no_steps}"])
    rows = [[str(count), f"{value:.4f}"] for count, value in enumerate(by_step, start=1)]
    title = f"{score.capitalize()} after each step"
    return "\n".join([*lines, *_section(title, [["steps read", score], *rows])])


def _of_classes(evaluation: ClassEvaluation) -> list[str]:
    low, high = evaluation.interval
    accuracy = f"accuracy {evaluation.accuracy:.4f} (95 % interval {low:.4f} to {high:.4f})"
    return [
        accuracy + _recorded(evaluation, "acc"),
        f"loss {evaluation.loss:.4f}  expected calibration error {evaluation.calibration_error:.4f}",
        *_section("Each class", _classes(evaluation)),
        *_section("Confusions: rows are labels, columns answers", _confusion(evaluation)),
        *_section("Calibration: the answer's probability, and how often it is right", _reliability(evaluation)),
    ]


def _of_numbers(evaluation: NumberEvaluation) -> list[str]:
    scores = f"mse {evaluation.mse:.6g}{_recorded(evaluation, 'mse')}  mae {evaluation.mae:.6g}"
    lines = [f"{scores}  r2 {_score(evaluation.r2)}  loss {evaluation.loss:.6g}"]
    if len(evaluation.outputs) == 1:
        return lines
    rows = [
        [str(number), f"{it.mse:.6g}", f"{it.mae:.6g}", _score(it.r2)] for number, it in enumerate(evaluation.outputs)
    ]
    return [*lines, *_section("Each output", [["output", "mse", "mae", "r2"], *rows])]


def _recorded(evaluation: Evaluation, shown: str) -> str:
    """What the trial has recorded, with the name of the metric unless it is the one that is shown."""
    if evaluation.recorded is None:
        return ""
    name = "" if evaluation.metric == shown else f"{evaluation.metric} "
    return f", {name}recorded by the trial {evaluation.recorded:.6g}"


def _section(title: str, rows: list[list[str]]) -> list[str]:
    return ["", title, *table(rows)]


def _classes(evaluation: ClassEvaluation) -> list[list[str]]:
    rows = [
        [score.name, str(score.count), _score(score.precision), _score(score.recall)] for score in evaluation.classes
    ]
    return [["class", "examples", "precision", "recall"], *rows]


def _score(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"


def _confusion(evaluation: ClassEvaluation) -> list[list[str]]:
    names = [score.name for score in evaluation.classes]
    rows = [
        [name, *("·" if count == 0 else str(count) for count in row)]
        for name, row in zip(names, evaluation.confusion, strict=True)
    ]
    return [["", *names], *rows]


def _reliability(evaluation: ClassEvaluation) -> list[list[str]]:
    rows = [
        [f"{it.low:.3f} to {it.high:.3f}", str(it.count), f"{it.confidence:.4f}", f"{it.accuracy:.4f}"]
        for it in evaluation.reliability
    ]
    return [["probability", "examples", "mean probability", "accuracy"], *rows]
