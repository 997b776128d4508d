"""The table at the end of a sweep, and what failed."""

import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence

from recurrent_cells.sweeps.plan import Trial
from recurrent_cells.sweeps.view import counted, rounded
from recurrent_cells.tracking.queries import TrialRecord

COLUMNS = ("cell", "hidden", "parameters", "seed", "best val acc", "test acc", "seconds")
SHOWN_BY_OTHER_COLUMNS = ("model", "model.cell", "model.hidden_size", "seed")


def summary(trials: Sequence[Trial], records: Mapping[str, TrialRecord]) -> str:
    """A row per finished trial in the order of the plan, then mean ± standard deviation over seeds."""
    extra = [key for key in trials[0].varied if key not in SHOWN_BY_OTHER_COLUMNS]
    rows = []
    groups: dict[tuple[str, ...], list[float]] = defaultdict(list)
    for trial in trials:
        record = records.get(trial.fingerprint)
        if record is None or record.status != "FINISHED":
            continue
        model = trial.config.model
        metrics = record.metrics
        rows.append(
            [
                model.cell,
                str(model.hidden_size),
                f"{trial.n_params:,}",
                str(trial.config.seed),
                *(trial.varied[key] for key in extra),
                f"{metrics.get('val/best_acc', float('nan')):.4f}",
                f"{metrics.get('test/acc', float('nan')):.4f}",
                f"{record.seconds or float('nan'):.1f}",
            ]
        )
        group = (model.cell, str(model.hidden_size), *(f"{key}={trial.varied[key]}" for key in extra))
        groups[group].append(metrics.get("test/acc", float("nan")))
    header = [*COLUMNS[:4], *extra, *COLUMNS[4:]]
    lines = table([header, *rows])
    if any(len(accuracies) > 1 for accuracies in groups.values()):
        lines.append("")
        for group, accuracies in groups.items():
            spread = f" ± {statistics.stdev(accuracies):.4f}" if len(accuracies) > 1 else ""
            lines.append(
                f"{' '.join(group)}: test acc {statistics.mean(accuracies):.4f}{spread} over {len(accuracies)} seeds"
            )
    return "\n".join(lines)


def table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows as aligned lines, the first column to the left, the others to the right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def plan_table(
    trials: Sequence[Trial], todo: Sequence[Trial], records: Mapping[str, TrialRecord], known: Sequence[TrialRecord]
) -> str:
    """What a dry run prints: each trial with its state and, from `known` runs of its shape, its estimated time."""
    seconds_by_shape: dict[str, list[float]] = defaultdict(list)
    for record in known:
        if record.status == "FINISHED" and record.seconds is not None and "shape" in record.tags:
            seconds_by_shape[record.tags["shape"]].append(record.seconds)
    seconds = {shape: statistics.median(found) for shape, found in seconds_by_shape.items()}
    planned = {trial.fingerprint for trial in todo}
    keys = list(trials[0].varied)
    rows = [["trial", *keys, "n_params", "state", "estimated seconds"]]
    for trial in trials:
        state = records[trial.fingerprint].status.lower() if trial.fingerprint in records else "new"
        is_estimated = trial.shape in seconds and trial.fingerprint in planned
        estimate = f"{seconds[trial.shape]:.1f}" if is_estimated else "-"
        rows.append([trial.name, *(trial.varied[key] for key in keys), f"{trial.n_params}", state, estimate])
    estimates = [seconds[trial.shape] for trial in todo if trial.shape in seconds]
    total = f", about {rounded(sum(estimates))} one after another" if len(estimates) == len(todo) != 0 else ""
    counts = f"{len(trials) - len(todo)} to be left out, {len(todo)} to run"
    return "\n".join([*table(rows), f"{counted(len(trials), 'trial')}, {counts}{total}; nothing started"])
