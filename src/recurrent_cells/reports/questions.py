"""What a sweep is to answer, where it does not just compare all that it has."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import takewhile
from math import nan

from recurrent_cells.reports.configurations import Configuration, contenders
from recurrent_cells.reports.metric import Metric
from recurrent_cells.statistics.comparisons import Comparison, compare
from recurrent_cells.statistics.looks import Decisions, decide
from recurrent_cells.sweeps.results import PlannedTrial, SweepData
from recurrent_cells.tracking.artifacts import Question, read_plan, read_question
from recurrent_cells.tracking.names import Curve, Tag
from recurrent_cells.tracking.parents import ParentRun, all_parents
from recurrent_cells.tracking.steering import skipped
from recurrent_cells.tracking.store import Store

DECIDED = "decided"


def question_of(store: Store, data: SweepData) -> Question | None:
    """The question of a sweep; None if the sweep has a fixed plan, which nobody has looked at with fewer seeds.

    A fixed plan that adds seeds to a finished one goes on from the look that was taken at that.
    """
    if len(data.sweeps) != 1:
        return None
    (sweep,) = data.sweeps
    asked = read_question(store, sweep)
    looked_at = _first_look(store, sweep) if asked is None else []
    if not looked_at:
        return asked
    seeds = {trial.seed for trial in data.finished} | set(looked_at)
    return Question(DECIDED, looked_at, margin=0.0, max_seeds=len(seeds), chosen=[])


def _first_look(store: Store, sweep: ParentRun) -> list[int]:
    """The seeds of the smallest sweep over the same configurations that was begun and finished before this one, which
    has these seeds too; empty if there is none."""
    configurations = sweep.tags.get(Tag.CONFIGURATIONS)
    earlier = [
        it
        for it in all_parents(store)
        if it.tags.get(Tag.CONFIGURATIONS) == configurations is not None
        and it.status == "FINISHED"
        and it.start_time < sweep.start_time
        and int(it.tags.get(Tag.TRIALS, 0)) < int(sweep.tags.get(Tag.TRIALS, 0))
    ]
    own = set(_planned_seeds(store, sweep)) if earlier else set()
    looks = (_planned_seeds(store, it) for it in sorted(earlier, key=lambda it: int(it.tags[Tag.TRIALS])))
    return next((seeds for seeds in looks if seeds and own.issuperset(seeds)), [])


def _planned_seeds(store: Store, sweep: ParentRun) -> list[int]:
    seeds = (it.removeprefix("seed=") for entry in read_plan(store, sweep) or [] for it in entry.overrides)
    return [int(seed) for seed in dict.fromkeys(it for it in seeds if it.isdigit())]


def without_tuning(data: SweepData, question: Question | None) -> SweepData:
    """The trials of a sweep that are compared, without those that chose among settings."""
    if question is None or not question.tuning:
        return data
    return replace(data, trials=tuple(it for it in data.trials if it.fingerprint not in question.tuning))


def competing(everything: Sequence[Configuration], question: Question | None) -> list[Configuration]:
    """The configurations of a data block that the verdict is about."""
    if question is None or not question.chosen:
        return contenders(everything)
    return [one for one in everything if any(trial.record.fingerprint in question.chosen for trial in one.trials)]


def pairs_of(
    compared: Sequence[Configuration], metric: Metric, question: Question | None, data: SweepData
) -> tuple[list[Comparison], Decisions | None]:
    """Each pair with its interval, and what was decided at which look where the sweep takes looks.

    Args:
        data: of the sweep, whose plan tells which seeds have ended without a value.
    """
    values = {one.label: one.values(metric) for one in compared}
    judged = {Curve.test(trial.record.metric) for one in compared for trial in one.trials}
    if question is None or question.until != DECIDED or judged != {metric.name}:
        return compare({label: list(found.values()) for label, found in values.items()}, metric.higher_is_better), None
    ordered = {one.label: _in_order(one, values[one.label], question.seeds, data) for one in compared}
    margin = question.margin / metric.scale
    decisions = decide(ordered, margin, len(question.seeds), question.max_seeds, metric.higher_is_better)
    return [pair.comparison for pair in decisions.pairs], decisions


def _in_order(one: Configuration, values: Mapping[int, float], first: Sequence[int], data: SweepData) -> list[float]:
    """Values in the order in which seeds were added, up to one that has not ended; NaN for one without a value."""
    own = {trial.record.fingerprint for trial in one.trials}
    settings = [_settings(trial) for trial in data.trials if trial.fingerprint in own]
    planned = (it for it in data.trials if "seed" in it.overrides and _settings(it) in settings)
    skips = {fingerprint for sweep in data.sweeps for fingerprint in skipped(sweep.tags)}
    ended = {int(it.overrides["seed"]): it.fingerprint in skips or _has_ended(it) for it in planned}
    order = [*first, *sorted(ended.keys() - set(first))]
    return [values.get(seed, nan) for seed in takewhile(lambda seed: ended.get(seed, False), order)]


def _has_ended(trial: PlannedTrial) -> bool:
    """Whether the same command would not train the trial, or train it only because it failed."""
    return trial.state in ("finished", "failed") or (trial.record is not None and trial.record.stopped)


def _settings(trial: PlannedTrial) -> dict[str, str]:
    return {key: value for key, value in trial.overrides.items() if key != "seed"}
