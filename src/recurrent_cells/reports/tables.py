"""The tables of a report: as shown, and with full precision for the CSV."""

import math
from collections.abc import Mapping, Sequence

from recurrent_cells.reports.configurations import Configuration
from recurrent_cells.reports.confusion import Confusion, most_confused
from recurrent_cells.reports.document import Table
from recurrent_cells.reports.metric import Metric
from recurrent_cells.statistics.comparisons import Comparison, Estimate, estimate
from recurrent_cells.sweeps.results import SweepData

NONE = "–"
LONG = 12


def results(everything: Sequence[Configuration], compared: Sequence[Configuration], metric: Metric) -> Table:
    """A row for each configuration, the best mean first."""
    chosen = {one.label for one in compared} if len(compared) < len(everything) else set()
    ranked = sorted(everything, key=lambda one: -metric.rank(one.mean(metric)))
    found = [estimate(list(one.values(metric).values()) or [math.nan]) for one in ranked]
    seeds = [len(one.values(metric)) for one in ranked]
    selection = ranked[0].selection
    validation = [one.mean(selection) for one in ranked]
    shown = {
        "": [one.label + (" *" if one.label in chosen else "") for one in ranked],
        metric.label: [_interval(estimated, metric) for estimated in found],
        "sd": [metric.value(estimated.sd) for estimated in found],
        "seeds": [str(count) for count in seeds],
        _heading(selection): [selection.value(value) for value in validation],
        "parameters": [f"{one.n_params:,}" for one in ranked],
        "seconds": [f"{one.seconds:.1f}" for one in ranked],
    }
    raw: dict[str, Sequence[object]] = {
        "configuration": [one.label for one in ranked],
        "cell": [one.cell for one in ranked],
        "seeds": seeds,
        metric.name: [estimated.mean for estimated in found],
        "half_interval": [estimated.half for estimated in found],
        "sd": [estimated.sd for estimated in found],
        selection.name: validation,
        "n_params": [one.n_params for one in ranked],
        "seconds": [one.seconds for one in ranked],
    }
    title = "Means over seeds with 95 % intervals" + ("; * stands for its cell in the verdict" if chosen else "")
    return Table("results", title, shown, raw=raw)


def _interval(found: Estimate, metric: Metric) -> str:
    return metric.value(found.mean) + ("" if math.isnan(found.half) else f" ± {metric.value(found.half)}")


def _heading(selection: Metric) -> str:
    """`best val acc (%)`."""
    return selection.label.replace("val/best_", "best val ")


def comparisons(found: Sequence[Comparison], metric: Metric, left_out: int) -> Table:
    """A row for each pair, the surest first; so many configurations are left out."""
    pairs = sorted(found, key=lambda pair: (math.isnan(pair.p_corrected), pair.p_corrected))
    amounts = [NONE if math.isnan(pair.half) else metric.amount(pair.difference, pair.half) for pair in pairs]
    shown = {
        "": [f"{pair.better} over {pair.worse}" for pair in pairs],
        "difference": amounts,
        "effect d": [_number(pair.effect) for pair in pairs],
        "p": [_number(pair.p) for pair in pairs],
        "p (Holm)": [_number(pair.p_corrected) for pair in pairs],
        "seeds": [str(len(pair.seeds)) for pair in pairs],
        "seeds needed": [str(pair.needed or NONE) for pair in pairs],
    }
    raw: dict[str, Sequence[object]] = {
        "better": [pair.better for pair in pairs],
        "worse": [pair.worse for pair in pairs],
        "seeds": [len(pair.seeds) for pair in pairs],
        "difference": [pair.difference for pair in pairs],
        "half_interval": [pair.half for pair in pairs],
        "effect": [pair.effect for pair in pairs],
        "p": [pair.p for pair in pairs],
        "p_holm": [pair.p_corrected for pair in pairs],
        "seeds_needed": [pair.needed or "" for pair in pairs],
    }
    title = "Pairs, on the seeds both have" + (f"; {left_out} more configurations are left out" if left_out else "")
    return Table("comparisons", title, shown, folded=len(pairs) > LONG, raw=raw)


def _number(value: float) -> str:
    return NONE if math.isnan(value) else f"{value:.2g}"


def unfinished(data: SweepData) -> Table:
    """What did not finish and why."""
    left = data.unfinished
    shown = {
        "trial": [trial.name for trial in left],
        "state": [trial.state for trial in left],
        "overrides": [" ".join(f"{key}={value}" for key, value in trial.overrides.items()) for trial in left],
        "error": [trial.error for trial in left],
    }
    title = f"{len(left)} of {len(data.trials)} trials did not finish"
    return Table("unfinished", title, shown, folded=len(left) > LONG)


def confused(confusions: Mapping[str, Confusion]) -> Table | None:
    """The most confused pairs of classes; None if there is no error, or if the classes are not the same."""
    if len({confusion.counts.shape for confusion in confusions.values()}) != 1:
        return None
    pairs = most_confused(list(confusions.values()))
    shown = {"": [f"{label} read as {answer}" for label, answer, _ in pairs]}
    for place, name in enumerate(confusions):
        shown[name] = [f"{100 * shares[place]:.2f}" for _, _, shares in pairs]
    return Table("most_confused", "Most confused: per cent of the label's test images", shown) if pairs else None


def trials(everything: Sequence[Configuration], metric: Metric) -> Table:
    """Every finished trial."""
    members = [(one, trial) for one in everything for trial in one.trials]
    selection = everything[0].selection
    values = [trial.record.metrics.get(metric.name, math.nan) for _, trial in members]
    validation = [trial.record.metrics.get(selection.name, math.nan) for _, trial in members]
    named = {
        "trial": [trial.name for _, trial in members],
        "configuration": [one.label for one, _ in members],
    }
    shown = named | {
        "seed": [str(trial.seed) for _, trial in members],
        metric.label: [metric.value(value) for value in values],
        _heading(selection): [selection.value(value) for value in validation],
        "seconds": [f"{trial.seconds:.1f}" for _, trial in members],
        "run": [trial.run_id[:8] for _, trial in members],
    }
    raw: dict[str, Sequence[object]] = {
        **named,
        "cell": [one.cell for one, _ in members],
        "seed": [trial.seed for _, trial in members],
        metric.name: values,
        selection.name: validation,
        "n_params": [trial.n_params for _, trial in members],
        "seconds": [trial.seconds for _, trial in members],
        "run": [trial.run_id for _, trial in members],
    }
    return Table("trials", f"All {len(members)} finished trials", shown, folded=True, raw=raw)
