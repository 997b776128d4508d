"""The table at the end of a sweep, and what failed."""

import math
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence

from recurrent_cells.statistics.comparisons import Estimate, estimate
from recurrent_cells.sweeps.plan import Trial
from recurrent_cells.sweeps.view import counted, table
from recurrent_cells.tracking.queries import TrialRecord

SHOWN_BY_OTHER_COLUMNS = ("model", "model.cell", "model.hidden_size", "seed")


def summary(trials: Sequence[Trial], records: Mapping[str, TrialRecord], tuning: Collection[Trial] = ()) -> str:
    """A row per finished trial in the order of the plan, then means over seeds with intervals that hold at once.

    Args:
        tuning: trials that chose among settings; no mean is of them.
    """
    mapped = ["model"] if any(trial.varied.get("model", "").startswith("{") for trial in trials) else []
    varied = dict.fromkeys(key for trial in trials for key in trial.varied)
    extra = [*mapped, *(key for key in varied if key not in SHOWN_BY_OTHER_COLUMNS)]
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
                *(trial.varied.get(key, "-") for key in extra),
                f"{math.nan if record.selection is None else record.selection:.4f}",
                f"{test:.4f}",
                f"{record.seconds or math.nan:.1f}",
            ]
        )
        if trial not in tuning:
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
    scale, digits, unit, most = (100, ".2f", " %", 1.0) if in_per_cent else (1, ".4g", "", math.inf)
    interval = "" if math.isnan(found.half) else f" ± {min(found.half, most) * scale:{digits}}"
    return f"{found.mean * scale:{digits}}{interval}{unit}"
