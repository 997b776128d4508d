"""Differences between the compared trials beyond what was swept: what else could explain a result."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite

from recurrent_cells.reports.configurations import CELL, Configuration, differing
from recurrent_cells.reports.metric import Metric
from recurrent_cells.sweeps.results import SweepData
from recurrent_cells.tracking.histories import Histories
from recurrent_cells.tracking.names import TEST_WATCHED, Curve, Tag

# Parameter counts within this ratio count as equal.
EQUAL_PARAMETERS = 1.02
LONGEST_LIST = 4
LONGEST_TAG = 40


@dataclass(frozen=True)
class Finding:
    """One thing looked at: in words how the trials differ in it, or else what they share, if there is a word for it."""

    what: str
    difference: str = ""
    value: str = ""


def fairness(data: SweepData, compared: Sequence[Configuration], histories: Histories, metric: Metric) -> list[Finding]:
    """Everything looked at, the differences first.

    Args:
        compared: the configurations that the verdict speaks of.
        histories: of their trials, with `val/loss`.
    """
    findings = [
        Finding("unfinished trials", _unfinished(data)),
        _grouped("seeds", compared, _seeds),
        Finding("diverged trials", _diverged(compared, metric)),
        _parameters(compared),
        _grouped("steps trained", compared, lambda one: _steps(one, histories)),
        *(_by_tag(name, tag, compared) for name, tag in TAGS.items()),
        _by_tag("trials trained as one program", "pack", compared, default="1"),
        Finding("uncommitted changes", _dirty(compared)),
        Finding("test images watched while training", _watched(compared)),
        Finding("shortened budgets", _shortened(compared)),
        Finding("differing settings beyond those swept", _settings(data, compared)),
    ]
    return sorted(findings, key=lambda finding: not finding.difference)


TAGS = {
    "data": "data.digest",
    "precision": "precision",
    "device": "device",
    "machine": "process.host",
    "code": "git.commit",
    "torch": "version.torch",
}


def _unfinished(data: SweepData) -> str:
    if not data.unfinished:
        return ""
    counts: dict[str, int] = defaultdict(int)
    for trial in data.unfinished:
        counts[trial.state] += 1
    parts = ", ".join(f"{count} {state}" for state, count in counts.items())
    return f"{len(data.unfinished)} of {len(data.trials)} are not in the comparison: {parts}"


def _seeds(one: Configuration) -> str:
    return ",".join(str(seed) for seed in sorted(trial.seed for trial in one.trials))


def _diverged(compared: Sequence[Configuration], metric: Metric) -> str:
    without = [
        trial.name for one in compared for trial in one.trials if not isfinite(trial.record.metrics.get(metric.name, 0))
    ]
    return f"no finite {metric.name}: {_listed(without)}" if without else ""


def _parameters(compared: Sequence[Configuration]) -> Finding:
    counts = {one.label: one.n_params for one in compared}
    most, least = max(counts, key=lambda it: counts[it]), min(counts, key=lambda it: counts[it])
    ratio = counts[most] / max(counts[least], 1)
    if ratio <= EQUAL_PARAMETERS:
        return Finding("parameters", value=f"{counts[least]:,}" if ratio == 1 else "within 2 %")
    words = f"{most} has {counts[most]:,}, {ratio:.2g} times the {counts[least]:,} of {least}"
    return Finding("parameters", words)


def _steps(one: Configuration, histories: Histories) -> str:
    last = {
        int(histories[trial.run_id][Curve.VAL_LOSS].steps[-1])
        for trial in one.trials
        if Curve.VAL_LOSS in histories.get(trial.run_id, {})
    }
    return " to ".join(f"{step:,}" for step in sorted({min(last), max(last)})) if last else "not looked at"


def _by_tag(name: str, tag: str, compared: Sequence[Configuration], default: str = "unknown") -> Finding:
    def value(one: Configuration) -> str:
        return " and ".join(sorted({trial.record.tags.get(tag, default)[:LONGEST_TAG] for trial in one.trials}))

    return _grouped(name, compared, value)


def _dirty(compared: Sequence[Configuration]) -> str:
    return _some(compared, lambda tags: tags.get(Tag.GIT_DIRTY) != "false", "trained with code that is in no commit")


def _watched(compared: Sequence[Configuration]) -> str:
    return _some(
        compared, lambda tags: tags.get(Tag.PROTOCOL) == TEST_WATCHED, "chose their weights by the test images"
    )


def _shortened(compared: Sequence[Configuration]) -> str:
    return _some(compared, lambda tags: "shortened" in tags, "trained less than their recipe says")


def _some(compared: Sequence[Configuration], holds: Callable[[Mapping[str, str]], bool], words: str) -> str:
    trials = [trial for one in compared for trial in one.trials]
    found = [trial.name for trial in trials if holds(trial.record.tags)]
    if not found:
        return ""
    return f"all trials {words}" if len(found) == len(trials) else f"{_listed(found)} {words}"


def _settings(data: SweepData, compared: Sequence[Configuration]) -> str:
    if data.swept is None:
        return ""
    keys = [key for key in differing([one.settings for one in compared]) if key != "data.digest"]
    left = [key for key in keys if key != CELL and key not in data.swept]  # cells are what is compared
    parts = []
    for key in left[: 2 * LONGEST_LIST]:
        values = list(dict.fromkeys(one.settings.get(key, "none") for one in compared))
        parts.append(f"{key} ({', '.join(values[:LONGEST_LIST])}{' …' if len(values) > LONGEST_LIST else ''})")
    more = [f"and {len(left) - len(parts)} more"] if len(left) > len(parts) else []
    return ", ".join([*parts, *more])


def _grouped(what: str, compared: Sequence[Configuration], value_of: Callable[[Configuration], str]) -> Finding:
    """`4,290 (GRU, LSTM); 2,000 (SimpleRNN)` if they differ, between configurations or within one."""
    groups: dict[str, list[str]] = defaultdict(list)
    for one in compared:
        groups[value_of(one)].append(one.label)
    values = list(groups)
    if len(values) == 1 and not any(mark in values[0] for mark in (" and ", " to ")):
        return Finding(what, value=values[0])
    return Finding(what, "; ".join(_with_labels(groups, len(compared))))


def _with_labels(groups: Mapping[str, Sequence[str]], count: int) -> Iterator[str]:
    for value, labels in groups.items():
        yield value if len(labels) == count else f"{value} ({_listed(labels)})"


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - LONGEST_LIST} more" if len(names) > LONGEST_LIST else ""
    return ", ".join(names[:LONGEST_LIST]) + more
