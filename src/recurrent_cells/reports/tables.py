"""The tables of a report: as shown, and with full precision for the CSV."""

import math
from collections.abc import Mapping, Sequence

from recurrent_cells.reports.configurations import SELECTION, Configuration
from recurrent_cells.reports.confusion import Confusion, most_confused
from recurrent_cells.reports.document import Table
from recurrent_cells.reports.metric import Metric
from recurrent_cells.statistics.comparisons import Comparison, estimate
from recurrent_cells.sweeps.results import SweepData

NONE = "–"
LONG = 12


def results(everything: Sequence[Configuration], compared: Sequence[Configuration], metric: Metric) -> Table:
    """A row for each configuration, the best mean first."""
    chosen = {one.label for one in compared} if len(compared) < len(everything) else set()
    sign = -1 if metric.higher_is_better else 1
    rows: list[list[str]] = []
    raw: list[list[object]] = []
    for one in sorted(everything, key=lambda it: sign * it.mean(metric) if it.values(metric) else math.inf):
        values = list(one.values(metric).values())
        found = estimate(values or [math.nan])
        half = "" if math.isnan(found.half) else f" ± {metric.value(found.half)}"
        best_validation = one.mean(SELECTION)
        rows.append(
            [
                one.label + (" *" if one.label in chosen else ""),
                f"{metric.value(found.mean)}{half}",
                metric.value(found.sd),
                str(len(values)),
                SELECTION.value(best_validation),
                f"{one.n_params:,}",
                f"{one.seconds:.1f}",
            ]
        )
        raw.append([one.label, one.cell, len(values), found.mean, found.half, found.sd])
        raw[-1] += [best_validation, one.n_params, one.seconds]
    title = "Means over seeds with 95 % intervals" + ("; * stands for its cell in the verdict" if chosen else "")
    header = ["", metric.label, "sd", "seeds", "best val acc (%)", "parameters", "seconds"]
    names = [
        "configuration",
        "cell",
        "seeds",
        metric.name,
        "half_interval",
        "sd",
        SELECTION.name,
        "n_params",
        "seconds",
    ]
    return Table("results", title, header, rows, raw=[names, *raw])


def comparisons(found: Sequence[Comparison], metric: Metric, more: int) -> Table:
    """A row for each pair, the surest first; `more` configurations are not in it."""
    rows: list[list[str]] = []
    raw: list[list[object]] = []
    for it in sorted(found, key=lambda it: (math.isnan(it.p_corrected), it.p_corrected)):
        amount = NONE if math.isnan(it.half) else metric.amount(it.difference, it.half)
        numbers = [NONE if math.isnan(number) else f"{number:.2g}" for number in (it.effect, it.p, it.p_corrected)]
        pair = f"{it.better} over {it.worse}"
        rows.append([pair, amount, *numbers, str(len(it.seeds)), str(it.needed or NONE)])
        raw.append([it.better, it.worse, len(it.seeds), it.difference, it.half, it.effect, it.p, it.p_corrected])
        raw[-1].append(it.needed or "")
    title = "Pairs, on the seeds both have" + (f"; {more} more configurations are left out" if more else "")
    header = ["", "difference", "effect d", "p", "p (Holm)", "seeds", "seeds needed"]
    names = ["better", "worse", "seeds", "difference", "half_interval", "effect", "p", "p_holm", "seeds_needed"]
    return Table("comparisons", title, header, rows, folded=len(rows) > LONG, raw=[names, *raw])


def unfinished(data: SweepData) -> Table:
    """What did not finish and why."""
    rows = [
        [trial.name, trial.state, " ".join(f"{key}={value}" for key, value in trial.overrides.items()), trial.error]
        for trial in data.unfinished
    ]
    title = f"{len(rows)} of {len(data.trials)} trials did not finish"
    return Table("unfinished", title, ["trial", "state", "overrides", "error"], rows, folded=len(rows) > LONG)


def confused(confusions: Mapping[str, Confusion]) -> Table | None:
    """The most confused pairs of classes; None if there is no error, or if the classes are not the same."""
    if len({it.counts.shape for it in confusions.values()}) != 1:
        return None
    rows = [
        [f"{label} read as {answer}", *(f"{100 * share:.2f}" for share in shares)]
        for label, answer, shares in most_confused(list(confusions.values()))
    ]
    title = "Most confused: per cent of the label's test images"
    return Table("most_confused", title, ["", *confusions], rows) if rows else None


def trials(everything: Sequence[Configuration], metric: Metric) -> Table:
    """Every finished trial."""
    rows: list[list[str]] = []
    raw: list[list[object]] = []
    for one in everything:
        for trial in one.trials:
            value = trial.record.metrics.get(metric.name, math.nan)
            best_validation = trial.record.metrics.get(SELECTION.name, math.nan)
            shown = [metric.value(value), SELECTION.value(best_validation), f"{trial.seconds:.1f}"]
            rows.append([trial.name, one.label, str(trial.seed), *shown, trial.run_id[:8]])
            raw.append([trial.name, one.label, one.cell, trial.seed, value, best_validation])
            raw[-1] += [trial.n_params, trial.seconds, trial.run_id]
    header = ["trial", "configuration", "seed", metric.label, "best val acc (%)", "seconds", "run"]
    names = ["trial", "configuration", "cell", "seed", metric.name, SELECTION.name, "n_params", "seconds", "run"]
    return Table("trials", f"All {len(rows)} finished trials", header, rows, folded=True, raw=[names, *raw])
