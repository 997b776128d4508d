"""The comparison of a sweep: the verdict, or how the pairs stand, with intervals that allow for looking at any time."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import isfinite
from typing import Any

from recurrent_cells.reports.blocks import MOST_COMPARED, block_names
from recurrent_cells.reports.configurations import Configuration, by, configurations
from recurrent_cells.reports.metric import Metric, describe
from recurrent_cells.reports.questions import DECIDED, competing, pairs_of, question_of, without_tuning
from recurrent_cells.reports.verdicts import MOST_PAIRS, verdict
from recurrent_cells.statistics.comparisons import Comparison
from recurrent_cells.statistics.looks import Decisions, Kind, kind_of, stand
from recurrent_cells.sweeps.results import SweepData
from recurrent_cells.tracking.artifacts import Question
from recurrent_cells.tracking.names import Curve
from recurrent_cells.tracking.store import Store

NO_VERDICT = "No verdict yet; ± holds for whoever looks after every seed, so it is wider than the verdict's."
VERDICT = "± is half of a 95 % interval for all pairs at once; the report has the whole of it."
LOOKS = "Each ± is of the look that decided the pair, or of the last one."


def compared(store: Store, data: SweepData, labels: Mapping[str, str], is_running: bool) -> dict[str, Any] | None:
    """Each pair of the configurations that compete; None where nothing is finished.

    Args:
        labels: fingerprint → the label of the trial's configuration.
        is_running: whether more trials come.
    """
    question = question_of(store, data)
    finished = without_tuning(data, question)
    found = [
        replace(it, label=labels.get(it.trials[0].record.fingerprint, it.label)) for it in configurations(finished)
    ]
    if not found:
        return None
    first = found[0].trials[0].record
    metric = describe(Curve.test(first.metric), [first])
    blocks = by(found, lambda one: one.block)
    names = block_names(blocks)
    each = [_block(names[block], them, metric, question, is_running, data) for block, them in blocks.items()]
    takes_looks = question is not None and question.until == DECIDED
    how = LOOKS if takes_looks else NO_VERDICT if is_running else VERDICT
    return {"metric": metric.name, "unit": "points" if metric.is_share else "", "how": how, "blocks": each}


def _block(
    name: str,
    found: Sequence[Configuration],
    metric: Metric,
    question: Question | None,
    is_running: bool,
    data: SweepData,
) -> dict[str, Any]:
    chosen = competing(found, question)
    if len(chosen) > MOST_COMPARED:
        chosen = sorted(chosen, key=lambda one: -one.rank)[:MOST_COMPARED]
    pairs, decisions, margin = _pairs(chosen, metric, question, is_running, data)
    kinds = {it.comparison: it.kind for it in decisions.pairs} if decisions else {}
    pairs = _against_the_best(pairs, chosen, metric) if len(pairs) > MOST_PAIRS else pairs
    return {
        "name": name,
        "pairs": [
            _pair(it, kinds.get(it, kind_of(it, margin)), metric, margin, is_running and not decisions) for it in pairs
        ],
        "seeds": min((len(one.values(metric)) for one in chosen), default=0),
        "configurations": len(chosen),
        "next_look": decisions.next_look if decisions else None,
    }


def _pairs(
    chosen: Sequence[Configuration],
    metric: Metric,
    question: Question | None,
    is_running: bool,
    data: SweepData,
) -> tuple[Sequence[Comparison], Decisions | None, float]:
    if question is not None or not is_running:
        margin = question.margin / metric.scale if question else 0.0
        return *pairs_of(chosen, metric, question, data), margin
    values = {one.label: _as_they_came(one, metric) for one in chosen}
    planned = {trial.overrides.get("seed") for trial in data.trials}
    _, pairs = stand(values, metric.higher_is_better) if len(planned) > 1 else (0, [])
    return pairs, None, 0.0


def _as_they_came(one: Configuration, metric: Metric) -> list[float]:
    ended = sorted(one.trials, key=lambda trial: (trial.record.end_time, trial.run_id))
    values = (trial.record.metrics.get(metric.name) for trial in ended)
    return [value for value in values if value is not None and isfinite(value)]


def _against_the_best(pairs: Sequence[Comparison], chosen: Sequence[Configuration], metric: Metric) -> list[Comparison]:
    """Of many pairs those with the best mean."""
    best = max(chosen, key=lambda one: metric.rank(one.mean(metric))).label
    return [pair for pair in pairs if best in (pair.better, pair.worse)]


def _pair(pair: Comparison, kind: Kind, metric: Metric, margin: float, is_early: bool) -> dict[str, Any]:
    has_interval = isfinite(pair.half)
    sentence = verdict(pair, metric, None, margin or None)
    if is_early and has_interval:
        sentence = f"{pair.better} is ahead of {pair.worse} by {metric.amount(pair.difference, pair.half)}."
    return {
        "better": pair.better,
        "worse": pair.worse,
        "kind": kind.value if has_interval else Kind.OPEN.value,
        "difference": metric.scale * pair.difference if isfinite(pair.difference) else None,
        "half": metric.scale * pair.half if has_interval else None,
        "way": _way(pair, margin) if has_interval else 0.0,
        "sentence": sentence,
    }


def _way(pair: Comparison, margin: float) -> float:
    """How far a pair is on the way to being decided, 1 once it is: told apart, or equal within the margin."""
    return min(1.0, max(pair.difference / pair.half, margin / pair.most))
