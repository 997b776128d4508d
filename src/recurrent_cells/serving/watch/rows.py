"""The trials and configurations of a sweep as the page shows them."""

from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import chain, count
from math import isfinite
from typing import Any

from recurrent_cells.reports.configurations import cell_class, cell_label, short_key
from recurrent_cells.serving.watch.curves import Curves
from recurrent_cells.sweeps.results import PlannedTrial, SweepData
from recurrent_cells.tracking.names import Curve, Tag
from recurrent_cells.tracking.queries import TrialRecord
from recurrent_cells.tracking.steering import skipped

CELL_KEYS = ("model", "model.cell")


class Configurations:
    """The trials of a plan that differ in nothing but the seed, under labels that tell them apart.

    Attributes:
        labels: of the configurations, in the order of the plan.
        of_trial: fingerprint → the configuration's place among the labels.
    """

    def __init__(self, data: SweepData) -> None:
        places: dict[tuple[tuple[str, str], ...], int] = {}
        self.labels: list[str] = []
        self.cells: list[str] = []
        self.of_trial: dict[str, int] = {}
        for trial in data.trials:
            key = tuple((name, value) for name, value in trial.overrides.items() if name != "seed")
            key = key or (("", _cell(trial)),)
            if key not in places:
                places[key] = len(places)
                self.labels.append(self._apart(trial, _label(trial, data.swept or frozenset())))
                self.cells.append(_cell(trial))
            self.of_trial[trial.fingerprint] = places[key]

    def _apart(self, trial: PlannedTrial, label: str) -> str:
        """The label; if another configuration has it, the trial's name without the seed, or that with a number."""
        name = trial.name.rpartition("-s")[0]
        numbered = (f"{name} #{number}" for number in count(2))
        return next(it for it in chain([label, name], numbered) if it and it not in self.labels)

    def described(self) -> Iterator[dict[str, Any]]:
        """Label and look of each: the colour tells the cell, `line` counts the cell's configurations.

        Of one cell alone there is no colour: configurations have colours of their own.
        """
        has_many, seen = len(set(self.cells)) > 1, Counter[str]()
        for label, cell in zip(self.labels, self.cells, strict=True):
            own = cell_class(cell) if has_many else None
            yield {"label": label, "color": str(own.color) if own else None, "line": seen[cell]}
            seen[cell] += 1


def _cell(trial: PlannedTrial) -> str:
    known = trial.record.params.get("model.cell", "") if trial.record else ""
    return known or trial.overrides.get("model.cell") or trial.overrides.get("model") or trial.name.partition("-")[0]


def _label(trial: PlannedTrial, swept: frozenset[str]) -> str:
    """`GRU lr 0.003`: the cell and what else varies; the trial's name without the seed where nothing does."""
    varied = trial.varied or {key: value for key, value in trial.overrides.items() if key in swept}
    keys = [key for key in varied if key not in ("seed", *CELL_KEYS)]
    if not varied.keys() - {"seed"}:
        return trial.name.rpartition("-s")[0] or trial.name
    return " ".join([cell_label(_cell(trial)), *(f"{short_key(key)}{varied[key]}" for key in keys)])


def row(
    trial: PlannedTrial,
    record: TrialRecord | None,
    configuration: int,
    curves: Curves,
    parent: Mapping[str, str],
    seconds: Mapping[str, float],
) -> dict[str, Any]:
    """What the page shows of a trial.

    Args:
        record: of its run; None without one.
        parent: the tags of the sweep's parent run.
        seconds: that trials take, by their shape.
    """
    found = {
        "id": trial.fingerprint,
        "name": trial.name,
        "configuration": configuration,
        "seed": trial.overrides.get("seed", ""),
        "state": _state(trial, record, parent),
        "steps": trial.steps,
    }
    if record is None:
        return found | {"reason": skipped(parent).get(trial.fingerprint, "")}
    step = curves.last_step(record.run_id)
    of_run = {"run": record.run_id, "step": step, "seconds": record.seconds, "reason": record.error}
    if record.status == "RUNNING":
        of_run["left"] = _seconds_left(record, step, trial.steps, seconds)
    value = record.selection if record.selection is not None else record.metrics.get(Curve.val(record.metric))
    values = {"value": _finite(value), "test": _finite(record.test)}
    return found | of_run | values


def _state(trial: PlannedTrial, record: TrialRecord | None, parent: Mapping[str, str]) -> str:
    """What the page calls the state of a trial."""
    if record is None:
        return "skipped" if trial.fingerprint in skipped(parent) else "waiting"
    if record.status == "RUNNING":
        return "stopping" if Tag.STOP in record.tags else "running"
    return "stopped" if record.stopped else trial.state


def _seconds_left(record: TrialRecord, step: int, steps: int, seconds: Mapping[str, float]) -> float | None:
    """By the pace since the last evaluation, else by what trials of this shape took; None where neither is known."""
    pace, batch = record.metrics.get(Curve.SAMPLES_PER_SECOND), record.params.get("data.batch_size", "")
    if pace and steps and batch.isdecimal():
        return max(0.0, (steps - step) * int(batch) / pace)
    known = seconds.get(record.tags.get(Tag.SHAPE, ""))
    return known and known * (1 - step / steps if steps else 1)


def _finite(value: float | None) -> float | None:
    return value if value is not None and isfinite(value) else None
