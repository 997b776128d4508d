"""What a report says of a search: how it went, what mattered, where the good ones lie."""

import math
from collections.abc import Mapping, Sequence

from recurrent_cells.reports.configurations import SELECTION
from recurrent_cells.reports.document import Block, Heading, Pictures, Text
from recurrent_cells.reports.figures import Picture
from recurrent_cells.reports.search_figures import Tried, draw_history, draw_importances, draw_parallel
from recurrent_cells.sweeps.results import SweepData
from recurrent_cells.sweeps.search.outline import Outline, from_json
from recurrent_cells.sweeps.search.ranges import Range
from recurrent_cells.tracking.artifacts import read_search
from recurrent_cells.tracking.names import Tag
from recurrent_cells.tracking.store import Store

# With fewer, importances say more about chance.
FEWEST_FOR_IMPORTANCES = 10
HISTORY_SHOWS = (
    "Every trial in the order it was proposed, pruned ones hollow with what they had reached; "
    "the line is the best so far."
)
IMPORTANCES_SHOW = (
    "What divides the best tenth of the trials from the rest (PED-ANOVA), all together 1; "
    "pruned trials count with the accuracy they had reached."
)
PARALLEL_SHOWS = "A line for each trial, coloured by validation accuracy; pruned ones are thin, the best one is thick."


def read_outline(store: Store, data: SweepData) -> Outline | None:
    """The search that a report is about; None if it is about something else, or several sweeps."""
    if len(data.sweeps) != 1:
        return None
    (sweep,) = data.sweeps
    text = read_search(store, sweep)
    return None if text is None else from_json(text)


def search_section(outline: Outline, data: SweepData) -> list[Block]:
    """A sentence or two and the pictures."""
    tried = _tried(outline, data)
    if not tried:
        return []
    best = max(tried, key=lambda it: (not it.pruned, it.accuracy))
    pictures = [Picture("search_history", HISTORY_SHOWS, draw_history(tried))]
    importances = _importances(outline.ranges, tried)
    if importances:
        pictures.append(Picture("search_importances", IMPORTANCES_SHOW, draw_importances(importances)))
    pictures.append(Picture("search_parallel", PARALLEL_SHOWS, draw_parallel(outline.ranges, tried, best)))
    return [Heading("Search"), Text(_sentence(outline, data, tried, best)), Pictures(pictures)]


def _tried(outline: Outline, data: SweepData) -> list[Tried]:
    found = []
    for place, trial in enumerate(data.trials, start=1):
        accuracy = math.nan if trial.record is None else trial.record.metrics.get(SELECTION.name, math.nan)
        if trial.state in ("finished", "pruned") and math.isfinite(accuracy):
            values = {key: range_.value(trial.varied[key]) for key, range_ in outline.ranges.items()}
            found.append(Tried(place, values, accuracy, trial.state == "pruned"))
    return found


def _sentence(outline: Outline, data: SweepData, tried: Sequence[Tried], best: Tried) -> str:
    settings = outline.settings
    pruned = [trial.record for trial in data.trials if trial.state == "pruned" and trial.record is not None]
    chosen = ", ".join(f"{key}={value}" for key, value in best.values.items())
    parts = [f"{len(tried)} trials proposed by {settings.sampler}, its seed {settings.seed}."]
    if pruned:
        steps = sum(int(record.tags[Tag.PRUNED]) for record in pruned) / len(pruned)
        parts.append(f"{len(pruned)} were pruned by {settings.pruner}, after {steps:,.0f} steps on average.")
    parts.append(
        f"The best by validation is trial {best.place}: {chosen}, {SELECTION.value(best.accuracy)} %. "
        "It was chosen among many by the images that score it: expect less of it on others."
    )
    return " ".join(parts)


def _importances(ranges: Mapping[str, Range], tried: Sequence[Tried]) -> dict[str, float]:
    """Shares of the keys, the largest first; empty where there is too little to go by."""
    if len(ranges) < 2 or len(tried) < FEWEST_FOR_IMPORTANCES or len({it.accuracy for it in tried}) < 2:
        return {}
    import optuna  # here: few reports are about a search

    from recurrent_cells.sweeps.search.distributions import distribution

    study = optuna.create_study(direction="maximize")
    distributions = {key: distribution(range_) for key, range_ in ranges.items()}
    for it in tried:
        study.add_trial(optuna.create_trial(params=dict(it.values), distributions=distributions, value=it.accuracy))
    shares = optuna.importance.get_param_importances(study)
    return {key: float(share) for key, share in shares.items()} if sum(shares.values()) > 0 else {}
