"""The results of a sweep as pandas frames: its trials, their curves, the verdict on each pair."""

from collections.abc import Sequence
from typing import get_args

import numpy as np
import pandas as pd

from recurrent_cells.config.schema import EXPERIMENT, schema_fields
from recurrent_cells.reports import tables
from recurrent_cells.reports.contest import Contest, contest_of
from recurrent_cells.sweeps.results import LATEST, PlannedTrial, SweepData, read_trials
from recurrent_cells.tracking.histories import read_histories
from recurrent_cells.tracking.names import Curve, Tag
from recurrent_cells.tracking.store import Store, open_store

# Tags that say how MLflow and the store go about a run, not what the trial is.
BOOKKEEPING = ("mlflow.", "process.", Tag.MANIFEST, Tag.OPENED, Tag.METRIC)
# What MLflow keeps as text though it is numbers, or yes and no.
TYPED = {
    *(key for key, field in schema_fields() if {int, float, bool} & set(get_args(field.type) or (field.type,))),
    *("n_params", Tag.SECONDS, Tag.PACK, Tag.PRUNED),
}


def trials(sweep: str = LATEST) -> pd.DataFrame:
    """A row for each trial: `run_id`, `name`, `status`, the keys of its config, its metrics and its tags.

    Args:
        sweep: latest, a sweep's run id or its beginning, several with commas between, or the name of an experiment,
            which has the trials that were trained alone too.

    Returns:
        The trials of the plan in its order, those without a run too (status `missing`). Numbers are numbers, what a
        trial does not have is missing. Metrics are the last values, of a share from 0 to 1.

    Raises:
        UserError: if there is no such sweep.
    """
    _, data = _read(sweep)
    return trials_frame(data)


def curves(sweep: str = LATEST, metrics: str | Sequence[str] | None = None) -> pd.DataFrame:
    """A row for each point of the curves: `run_id`, `name`, `metric`, `step` (of the optimiser), `value`.

    Args:
        sweep: as for `trials`.
        metrics: names such as val/acc; None: training and validation values of the loss and of the trials' metric.

    Returns:
        Of several points at a step the last one logged; NaN where a value was not finite.

    Raises:
        UserError: if there is no such sweep.
    """
    store, data = _read(sweep)
    return curves_frame(store, data, [metrics] if isinstance(metrics, str) else metrics)


def verdict(sweep: str = LATEST, metric: str | None = None, margin: float | None = None) -> pd.DataFrame:
    """A row for each pair of configurations that the report compares, with the numbers that the report shows.

    Args:
        sweep: as for `trials`.
        metric: by which to compare; None: the one that judges the trials, on the test data.
        margin: within which configurations are called equal, in points for a share.

    Returns:
        `better`, `worse`, `block` (of data), their seeds, `difference` with half its simultaneous 95 % interval for
        other seeds and for other test examples too, `p`, and the `conclusion` in words; no row where no trial is
        finished. A share is from 0 to 1.

    Raises:
        UserError: if there is no such sweep, or no finished trial has the metric.
    """
    store, data = _read(sweep)
    return verdict_frame(contest_of(store, data, metric, margin)) if data.finished else pd.DataFrame()


def trials_frame(data: SweepData) -> pd.DataFrame:
    found = pd.DataFrame.from_records([_row(trial) for trial in data.trials])
    for key in TYPED & set(found.columns):
        found[key] = _as_typed(found[key])
    return found


def curves_frame(store: Store, data: SweepData, metrics: Sequence[str] | None = None) -> pd.DataFrame:
    records = [trial.record for trial in data.trials if trial.record is not None]
    if metrics is None:
        names = dict.fromkeys(record.metric for record in records)
        splits = Curve.train, Curve.val
        metrics = [Curve.TRAIN_LOSS, Curve.VAL_LOSS, *(split(name) for name in names for split in splits)]
    histories = read_histories(store, [record.run_id for record in records], metrics)
    found = [
        (record.run_id, record.name, metric, histories[record.run_id][metric])
        for record in records
        for metric in metrics
        if metric in histories.get(record.run_id, {})
    ]
    lengths = [len(history.steps) for *_, history in found]
    labels = {
        name: np.repeat(np.array([row[column] for row in found], dtype=object), lengths)
        for column, name in enumerate(("run_id", "name", "metric"))
    }
    steps, values = (
        np.concatenate([np.empty(0), *(getattr(row[3], of) for row in found)]) for of in ("steps", "values")
    )
    return pd.DataFrame(labels | {"step": steps.astype(np.int64), "value": values})


def verdict_frame(contest: Contest) -> pd.DataFrame:
    return pd.DataFrame(tables.comparisons(contest.competitions, contest.metric, contest.margin).raw)


def _read(sweep: str) -> tuple[Store, SweepData]:
    return read_trials(open_store(EXPERIMENT, reading=True), sweep)


def _row(trial: PlannedTrial) -> dict[str, object]:
    record = trial.record
    row: dict[str, object] = {
        "run_id": record and record.run_id,
        "name": trial.name,
        "status": trial.state,
        Tag.FINGERPRINT: trial.fingerprint,
    }
    if record is None:
        return row
    params = {key: None if value == "None" else value for key, value in record.params.items()}
    tags = {key: value for key, value in record.tags.items() if not key.startswith(BOOKKEEPING)}
    return row | params | record.metrics | tags


def _as_typed(column: "pd.Series") -> "pd.Series":
    known = set(column.dropna())
    if known and known <= {"True", "False"}:
        return column.map({"True": True, "False": False})
    try:
        return pd.to_numeric(column)
    except (ValueError, TypeError):  # a tag can be edited by hand
        return column
