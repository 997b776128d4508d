"""The section of a report about a search: its course, which keys mattered, where good trials lie."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from statistics import fmean

from recurrent_cells.reports.document import Block, Heading, Pictures, Table, Text
from recurrent_cells.reports.figures import Picture
from recurrent_cells.reports.metric import Metric, describe, selection_of
from recurrent_cells.reports.search_figures import (
    SearchTrial,
    draw_budget,
    draw_front,
    draw_history,
    draw_importances,
    draw_parallel,
    the_best,
)
from recurrent_cells.statistics.fronts import fronts
from recurrent_cells.sweeps.results import SweepData
from recurrent_cells.sweeps.search.objectives import value_of
from recurrent_cells.sweeps.search.outline import Outline, from_json
from recurrent_cells.sweeps.search.ranges import Range
from recurrent_cells.sweeps.search.settings import COSTS
from recurrent_cells.tracking.artifacts import read_search
from recurrent_cells.tracking.names import Curve, Tag
from recurrent_cells.tracking.store import Store

# With fewer, importances say more about chance.
FEWEST_FOR_IMPORTANCES = 10
# Only their trials are drawn without regard to those before, so that any number of them is a search of that size.
WITHOUT_MEMORY = ("random", "grid")
COST_DIGITS = {"n_params": 0, "seconds": 1}
BUDGET_SHOWS = (
    "What the trial that is best by validation among so many of a cell is expected to have on the test data, which "
    "had no part in that choice: over all draws of so many of these trials; the band leaves out the lowest and the "
    "highest tenth of the draws."
)
PRUNED_IN_BUDGET = (
    " Pruned trials are drawn too, but chosen only where no trial of the draw was trained in full; which were pruned "
    "is taken as this search had it, though another order might have pruned others."
)
HISTORY_SHOWS = (
    "Every trial in the order it was proposed, pruned ones hollow with what they had reached; "
    "the line is the best so far."
)
IMPORTANCES_SHOW = (
    "What divides the best tenth of the trials from the rest (PED-ANOVA), all together 1; "
    "pruned trials count with the value they had reached."
)
FRONT_SHOWS = (
    "What the trials reach on validation data and what they cost, pruned ones hollow with what they had reached; "
    "the line goes through the Pareto front: no trial is better than one of these in all objectives."
)
PARALLEL_SHOWS = "A line for each trial, coloured by its validation value; pruned ones are thin, the best one is thick."


def read_outline(store: Store, data: SweepData) -> Outline | None:
    """The search that a report is about; None for a sweep that is no search, and for several sweeps."""
    if len(data.sweeps) != 1:
        return None
    (sweep,) = data.sweeps
    text = read_search(store, sweep)
    return None if text is None else from_json(text)


def search_section(outline: Outline, data: SweepData) -> list[Block]:
    """The sentences about a search and its pictures."""
    records = [trial.record for trial in data.trials if trial.record is not None]
    if not records:
        return []
    selection = selection_of(records[0])
    tried = _tried(outline, data, selection)
    if not tried:
        return []
    best = the_best(tried, selection)
    pictures = [Picture("search_history", HISTORY_SHOWS, draw_history(tried, selection))]
    if outline.settings.sampler in WITHOUT_MEMORY:
        pictures += _budget(tried, selection, describe(Curve.test(records[0].metric), records))
    importances = _importances(outline.ranges, tried, selection)
    if importances:
        pictures.append(Picture("search_importances", IMPORTANCES_SHOW, draw_importances(importances)))
    pictures.append(Picture("search_parallel", PARALLEL_SHOWS, draw_parallel(outline.ranges, tried, best, selection)))
    text = Text(_sentence(outline, data, tried, best, selection))
    if len(outline.settings.objectives) == 1:
        return [Heading("Search"), text, Pictures(pictures)]
    on_front = _front(tried, selection)
    if not on_front:
        return [Heading("Search"), text, Pictures(pictures)]
    pictures[:0] = [
        Picture(f"search_front_{cost}", FRONT_SHOWS, draw_front(tried, on_front, cost, selection))
        for cost in tried[0].costs
    ]
    return [Heading("Search"), text, _front_table(outline, on_front, selection), Pictures(pictures)]


def _budget(tried: Sequence[SearchTrial], selection: Metric, test: Metric) -> Iterator[Picture]:
    """What fewer trials would have found; nothing where no trial has a test value."""
    tested = [it for it in tried if math.isfinite(it.test)]
    if not tested:
        return
    words = BUDGET_SHOWS + (PRUNED_IN_BUDGET if any(it.pruned for it in tested) else "")
    if left_out := len(tried) - len(tested):
        words += f" Left out for want of a test value: {left_out} of {len(tried)} trials."
    by_cell = {cell: [it for it in tested if it.cell == cell] for cell in dict.fromkeys(it.cell for it in tested)}
    yield Picture("search_budget", words, draw_budget(by_cell, selection, test))


def _front(tried: Sequence[SearchTrial], selection: Metric) -> list[SearchTrial]:
    """The Pareto front of the trials that were trained in full, the best by validation first."""
    full = [it for it in tried if not it.pruned]
    points = [[selection.rank(it.value), *(-cost for cost in it.costs.values())] for it in full]
    found = [it for it, place in zip(full, fronts(points), strict=True) if place == 0] if points else []
    return sorted(found, key=lambda it: -selection.rank(it.value))


def _front_table(outline: Outline, on_front: Sequence[SearchTrial], selection: Metric) -> Table:
    objectives = outline.settings.objectives
    columns = {"trial": [str(it.place) for it in on_front]}
    columns |= {key: [str(it.chosen[key]) for it in on_front] for key in outline.ranges}
    columns |= {cost: [f"{it.costs[cost]:,.{COST_DIGITS[cost]}f}" for it in on_front] for cost in on_front[0].costs}
    columns[selection.label] = [selection.value(it.value) for it in on_front]
    columns["on test data"] = [selection.value(it.test) for it in on_front]
    return Table("front", f"The Pareto front of {' and '.join(objectives)}", columns)


def _tried(outline: Outline, data: SweepData, selection: Metric) -> list[SearchTrial]:
    """The proposals that came to a value, each the mean over its seeds; those given up count as pruned."""
    by_choice: dict[tuple[str, ...], list[SearchTrial]] = {}
    for trial in data.trials:
        own = by_choice.setdefault(tuple(trial.varied.get(key, "") for key in outline.ranges), [])
        place = len(by_choice)
        value = math.nan if trial.record is None else trial.record.metrics.get(selection.name, math.nan)
        if trial.record is not None and trial.state in ("finished", "pruned") and math.isfinite(value):
            chosen = {key: range_.value(trial.varied[key]) for key, range_ in outline.ranges.items()}
            test = math.nan if trial.record.test is None else trial.record.test
            cell = trial.record.tags.get("cell", "")
            costs = {it: value_of(trial.record, it) for it in outline.settings.objectives if it in COSTS}
            own.append(SearchTrial(place, chosen, value, trial.state == "pruned", cell, test, costs))
    return [_mean(seeds, outline.settings.seeds) for seeds in by_choice.values() if seeds]


def _mean(seeds: Sequence[SearchTrial], wanted: int) -> SearchTrial:
    first = seeds[0]
    if wanted == 1:
        return first
    return replace(
        first,
        value=fmean(it.value for it in seeds),
        test=fmean(it.test for it in seeds),
        costs={cost: fmean(it.costs[cost] for it in seeds) for cost in first.costs},
        pruned=first.pruned or len(seeds) < wanted,
    )


def _sentence(
    outline: Outline, data: SweepData, tried: Sequence[SearchTrial], best: SearchTrial, selection: Metric
) -> str:
    settings = outline.settings
    pruned = [trial.record for trial in data.trials if trial.state == "pruned" and trial.record is not None]
    chosen = ", ".join(f"{key}={value}" for key, value in best.chosen.items())
    parts = [f"{len(tried)} trials proposed by {settings.sampler}, its seed {settings.seed}."]
    if pruned:
        steps = sum(int(record.tags[Tag.PRUNED]) for record in pruned) / len(pruned)
        parts.append(f"{len(pruned)} were pruned by {settings.pruner}, after {steps:,.0f} steps on average.")
    if settings.seeds > 1:
        given_up = sum(trial.pruned for trial in tried) - len(pruned)
        judged = f"Each is judged by the mean over {settings.seeds} seeds"
        parts.append(f"{judged}; {given_up} were given up after the first." if given_up else f"{judged}.")
    unit = " %" if selection.is_share else ""
    parts.append(f"The best by validation is trial {best.place}: {chosen}, {selection.value(best.value)}{unit}.")
    if math.isfinite(best.test):
        parts.append(f"On the test data, which had no part in that choice, it has {selection.value(best.test)}{unit}.")
    if settings.sampler not in WITHOUT_MEMORY:
        parts.append("Its trials build on those before: the line below is the course of this one search.")
    return " ".join(parts)


def _importances(ranges: Mapping[str, Range], tried: Sequence[SearchTrial], selection: Metric) -> dict[str, float]:
    """How much each key matters, as shares, the largest first; empty where there are too few trials to say."""
    if len(ranges) < 2 or len(tried) < FEWEST_FOR_IMPORTANCES or len({trial.value for trial in tried}) < 2:
        return {}
    import optuna  # here: few reports are about a search

    from recurrent_cells.sweeps.search.distributions import distribution

    study = optuna.create_study(direction="maximize" if selection.higher_is_better else "minimize")
    distributions = {key: distribution(range_) for key, range_ in ranges.items()}
    for trial in tried:
        params = dict(trial.chosen)
        study.add_trial(optuna.create_trial(params=params, distributions=distributions, value=trial.value))
    shares = optuna.importance.get_param_importances(study)
    return {key: float(share) for key, share in shares.items()} if sum(shares.values()) > 0 else {}
