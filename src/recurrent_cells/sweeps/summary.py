"""The table at the end of a sweep, and what failed."""

import math
import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence

from recurrent_cells.statistics.comparisons import Estimate, estimate
from recurrent_cells.sweeps.plan import Trial
from recurrent_cells.sweeps.view import counted, rounded
from recurrent_cells.tracking.names import Tag
from recurrent_cells.tracking.queries import TrialRecord

SHOWN_BY_OTHER_COLUMNS = ("model", "model.cell", "model.hidden_size", "seed")


def summary(trials: Sequence[Trial], records: Mapping[str, TrialRecord]) -> str:
    """A row per finished trial in the order of the plan, then means over seeds with intervals that hold at once."""
    extra = [key for key in trials[0].varied if key not in SHOWN_BY_OTHER_COLUMNS]
    first = next((records[trial.fingerprint] for trial in trials if trial.fingerprint in records), None)
    rows, metric = [], first.metric if first else "acc"
    groups: dict[tuple[str, ...], list[float]] = defaultdict(list)
    for trial in trials:
        record = records.get(trial.fingerprint)
        if record is None or record.status != "FINISHED":
            continue
        model = trial.config.model
        test = math.nan if record.test is None else record.test
        rows.append(
            [
                model.cell,
                str(model.hidden_size),
                f"{trial.n_params:,}",
                str(trial.config.seed),
                *(trial.varied[key] for key in extra),
                f"{math.nan if record.selection is None else record.selection:.4f}",
                f"{test:.4f}",
                f"{record.seconds or math.nan:.1f}",
            ]
        )
        group = (model.cell, str(model.hidden_size), *(f"{key}={trial.varied[key]}" for key in extra))
        groups[group].append(test)
    header = ["cell", "hidden", "parameters", "seed", *extra, f"best val {metric}", f"test {metric}", "seconds"]
    lines = table([header, *rows])
    if any(len(values) > 1 for values in groups.values()):
        lines.append("")
        in_per_cent = first is not None and first.is_share
        for group, values in groups.items():
            found = estimate(values, len(groups))
            mean = _mean(found, in_per_cent)
            lines.append(f"{' '.join(group)}: test {metric} {mean} over {counted(found.count, 'seed')}")
    return "\n".join(lines)


def _mean(found: Estimate, in_per_cent: bool) -> str:
    """`97.53 ± 0.05 %`, `0.071 ± 0.0021`."""
    scale, digits, unit = (100, ".2f", " %") if in_per_cent else (1, ".4g", "")
    interval = "" if math.isnan(found.half) else f" ± {found.half * scale:{digits}}"
    return f"{found.mean * scale:{digits}}{interval}{unit}"


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


def seconds_by_shape(records: Sequence[TrialRecord]) -> dict[str, float]:
    """The median time of finished trials by their shape."""
    seconds: dict[str, list[float]] = defaultdict(list)
    for record in records:
        if record.status == "FINISHED" and record.seconds is not None and Tag.SHAPE in record.tags:
            seconds[record.tags[Tag.SHAPE]].append(record.seconds)
    return {shape: statistics.median(found) for shape, found in seconds.items()}


def plan_table(
    trials: Sequence[Trial], todo: Sequence[Trial], records: Mapping[str, TrialRecord], known: Sequence[TrialRecord]
) -> str:
    """What a dry run prints: each trial with its state and, from `known` runs of its shape, its estimated time."""
    seconds = seconds_by_shape(known)
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
