"""The tables of a report: as shown, and with full precision for the CSV."""

import math
from collections.abc import Mapping, Sequence
from statistics import mean

from recurrent_cells.reports.blocks import Competition
from recurrent_cells.reports.configurations import Configuration
from recurrent_cells.reports.confusion import Confusion, most_confused
from recurrent_cells.reports.document import Table
from recurrent_cells.reports.metric import Metric
from recurrent_cells.reports.verdicts import verdict
from recurrent_cells.statistics.comparisons import ALPHA, Estimate, estimate
from recurrent_cells.sweeps.results import SweepData

NONE = "–"
LONG = 12
SMALLEST_P = 0.001


def groups(found: Sequence[Competition]) -> dict[str, int]:
    """label → of how many configurations, those that are compared with it, the intervals hold at once."""
    return {one.label: len(competition.compared) for competition in found for one in competition.everything}


def results(everything: Sequence[Configuration], found: Sequence[Competition], metric: Metric) -> Table:
    """A row for each configuration, the best mean of each data block first."""
    compared = {one.label for competition in found for one in competition.compared}
    chosen = compared if len(compared) < len(everything) else set()
    blocks = [competition.everything[0].block for competition in found]
    ranked = sorted(everything, key=lambda one: (blocks.index(one.block), -metric.rank(one.mean(metric))))
    together = groups(found)
    estimates = [estimate(list(one.values(metric).values()) or [math.nan], together[one.label]) for one in ranked]
    seeds = [len(one.values(metric)) for one in ranked]
    selection = ranked[0].selection
    validation = [one.mean(selection) for one in ranked]
    shown = {
        "": [one.label + (" *" if one.label in chosen else "") for one in ranked],
        metric.label: [_interval(estimated, metric) for estimated in estimates],
        "sd": [metric.value(estimated.sd) for estimated in estimates],
        "seeds": [str(count) for count in seeds],
        _heading(selection): [selection.value(value) for value in validation],
        "parameters": [f"{one.n_params:,}" for one in ranked],
        "seconds": [f"{one.seconds:.1f}" for one in ranked],
    }
    raw: dict[str, Sequence[object]] = {
        "configuration": [one.label for one in ranked],
        "cell": [one.cell for one in ranked],
        "seeds": seeds,
        metric.name: [estimated.mean for estimated in estimates],
        "half_interval": [estimated.half for estimated in estimates],
        "sd": [estimated.sd for estimated in estimates],
        selection.name: validation,
        "n_params": [one.n_params for one in ranked],
        "seconds": [one.seconds for one in ranked],
    }
    at_once = "Means over seeds with 95 % intervals that hold at once" + (" on each data block" if blocks[1:] else "")
    title = at_once if max(seeds) > 1 else "Results of one seed of each"
    title += "; * stands for its cell in the verdict" if chosen else ""
    return Table("results", title, shown, raw=raw)


def _interval(found: Estimate, metric: Metric) -> str:
    return metric.value(found.mean) + ("" if math.isnan(found.half) else f" ± {metric.value(metric.half(found.half))}")


def _heading(selection: Metric) -> str:
    """`best val acc (%)`."""
    return selection.label.replace("val/best_", "best val ")


def comparisons(found: Sequence[Competition], metric: Metric, margin: float | None = None) -> Table:
    """A row for each pair, the surest first; `margin` is in the metric's own scale."""
    pairs = [(competition, pair) for competition in found for pair in competition.pairs]
    pairs.sort(key=lambda it: (math.isnan(it[1].p), it[1].p))
    wider = [competition.other_examples(pair) for competition, pair in pairs]
    halves = [math.nan if other is None else other.half for other in wider]
    shown = {
        "": [f"{pair.better} over {pair.worse}" for _, pair in pairs],
        "difference": [_amount(pair.difference, pair.half, metric) for _, pair in pairs],
        "on other examples too": [
            _amount(pair.difference, half, metric) for (_, pair), half in zip(pairs, halves, strict=True)
        ],
        "at most": [NONE if math.isnan(pair.most) else metric.difference(pair.most) for _, pair in pairs],
        "p": [_p(pair.p) for _, pair in pairs],
        "seeds": [" and ".join(map(str, sorted(set(pair.counts)))) for _, pair in pairs],
    }
    raw: dict[str, Sequence[object]] = {
        "better": [pair.better for _, pair in pairs],
        "worse": [pair.worse for _, pair in pairs],
        "block": [competition.compared[0].block for competition, _ in pairs],
        "seeds_better": [pair.counts[0] for _, pair in pairs],
        "seeds_worse": [pair.counts[1] for _, pair in pairs],
        "difference": [pair.difference for _, pair in pairs],
        "half_interval": [pair.half for _, pair in pairs],
        "half_interval_other_examples": halves,
        "p": [pair.p for _, pair in pairs],
        "conclusion": [verdict(pair, metric, other, margin) for (_, pair), other in zip(pairs, wider, strict=True)],
    }
    if len(shown["on other examples too"]) == shown["on other examples too"].count(NONE):
        del shown["on other examples too"]
    left_out = sum(competition.left_out for competition in found)
    more = f"; {left_out} configurations that are worse by validation are left out" if left_out else ""
    title = f"Pairs with simultaneous 95 % intervals, and p after the same correction{more}"
    return Table("comparisons", title, shown, folded=len(pairs) > LONG, raw=raw)


def _amount(difference: float, half: float, metric: Metric) -> str:
    return NONE if math.isnan(half) else metric.amount(difference, half)


def _p(p: float) -> str:
    """p with digits enough to show on which side of 0.05 it lies."""
    if math.isnan(p):
        return NONE
    if p < SMALLEST_P:
        return f"< {SMALLEST_P}"
    digits = next((n for n in range(2, 8) if (round(p, n) < ALPHA) == (p < ALPHA) and round(p, n) > 0), 8)
    return f"{p:.{digits}f}"


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
    if len({(confusion.counts.shape, confusion.names) for confusion in confusions.values()}) != 1:
        return None
    pairs = most_confused(list(confusions.values()))
    called = next(iter(confusions.values())).name
    shown = {"": [f"{called(label)} read as {called(answer)}" for label, answer, _ in pairs]}
    for place, name in enumerate(confusions):
        shown[name] = [f"{100 * shares[place]:.2f}" for _, _, shares in pairs]
    return Table("most_confused", "Most confused: per cent of the label's test examples", shown) if pairs else None


def recalls(confusions: Mapping[str, Confusion]) -> Table | None:
    """The recall of each class, and their mean; None where no test has classes that are uneven."""
    found = {label: it.recalls for label, it in confusions.items() if it.is_uneven}
    if not found:
        return None
    shares = {label: {"balanced accuracy": mean(by_class.values())} | by_class for label, by_class in found.items()}
    names = list(dict.fromkeys(name for column in shares.values() for name in column))
    columns = {
        label: [f"{100 * column[name]:.1f}" if name in column else "–" for name in names]
        for label, column in shares.items()
    }
    return Table(
        "recalls", "Per cent of right answers to each class; balanced accuracy is their mean", {"": names, **columns}
    )


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
