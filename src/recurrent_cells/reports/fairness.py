"""Differences between the compared trials beyond what was swept: what else could explain a result."""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite

from recurrent_cells.config.schema import later_keys
from recurrent_cells.reports.configurations import CELL, Configuration, by, cell_label, configurations, differing
from recurrent_cells.reports.metric import Metric
from recurrent_cells.sweeps.results import SweepData
from recurrent_cells.tracking.histories import Histories
from recurrent_cells.tracking.names import Curve, Tag
from recurrent_cells.tracking.queries import TrialRecord

# Parameter counts within this ratio count as equal.
EQUAL_PARAMETERS = 1.02
BLOCK = "model.block"
LONGEST_LIST = 4
LONGEST_TAG = 40
DIVERGED = re.compile(r"loss is (nan|-?inf)")
TAGS = {
    "data": "data.digest",
    "precision": "precision",
    "device": "device",
    "machine": "process.host",
    "code": "git.commit",
    "torch": "version.torch",
}


@dataclass(frozen=True)
class Finding:
    """A check: in words how the trials differ in `what`, or else the value that they share, if there is one to name."""

    what: str
    difference: str = ""
    value: str = ""


def fairness(
    data: SweepData,
    compared: Sequence[Configuration],
    histories: Histories,
    metric: Metric,
) -> list[Finding]:
    """All findings, the differences first.

    Args:
        compared: the configurations that the verdict speaks of.
        histories: of trials of theirs, with `val/loss`.
    """
    blocks = by(compared, lambda one: one.block)
    nan = _listed([trial.name for trial in data.unfinished if DIVERGED.search(trial.error)])
    no_value = _named(compared, lambda trial: not isfinite(trial.metrics.get(metric.name, 0)))
    dirty = _named(compared, lambda trial: trial.tags.get("git.dirty") != "false")
    watched = _named(compared, lambda trial: trial.tags.get("protocol") == "test-watched")
    shortened = _named(compared, lambda trial: "shortened" in trial.tags)
    steps = {one.label: _steps(one, histories) for one in compared}
    findings = [
        Finding("unfinished trials", _unfinished(data)),
        _shared("seeds", {one.label: _seeds(one) for one in compared}),
        Finding(
            "diverged trials",
            "; ".join(
                [
                    *([f"the loss was not finite: {nan}"] if nan else []),
                    *([f"no finite {metric.name}: {no_value}"] if no_value else []),
                ]
            ),
        ),
        _shared("settings tried per cell", _tried(configurations(data))),
        _parameters(compared),
        _shared("block around the layers", {one.label: _block(one) for one in compared}),
        _shared("steps trained", {label: words for label, words in steps.items() if words}),
        *(_by_tag(what, tag, compared) for what, tag in TAGS.items() if what != "data" or len(blocks) == 1),
        _by_tag("trials trained as one program", "pack", compared, default="1"),
        Finding("uncommitted changes", dirty and f"{dirty} trained with code that is in no commit"),
        Finding("test examples watched while training", watched and f"{watched} chose their weights by them"),
        Finding("shortened budgets", shortened and f"{shortened} trained less than their recipe says"),
        Finding("differing settings beyond those swept", _settings(data, compared)),
    ]
    return sorted(findings, key=lambda finding: not finding.difference)


def _tried(everything: Sequence[Configuration]) -> dict[str, str]:
    """How many settings of each cell were tried on a data block, the most where that differs between blocks."""
    most: dict[str, int] = {}
    for found in by(everything, lambda one: one.block).values():
        for cell, ones in by(found, lambda one: one.cell).items():
            most[cell_label(cell)] = max(most.get(cell_label(cell), 0), len(ones))
    return {cell: str(count) for cell, count in most.items()}


def _named(compared: Sequence[Configuration], applies: Callable[[TrialRecord], bool]) -> str:
    """The names of the trials for which a condition holds; empty if there are none."""
    records = [trial.record for one in compared for trial in one.trials]
    found = [record.name for record in records if applies(record)]
    return "all trials" if found and len(found) == len(records) else _listed(found)


def _unfinished(data: SweepData) -> str:
    if not data.unfinished:
        return ""
    counts = Counter(trial.state for trial in data.unfinished)
    parts = ", ".join(f"{count} {state}" for state, count in counts.items())
    return f"{len(data.unfinished)} of {len(data.trials)} are not in the comparison: {parts}"


def _seeds(one: Configuration) -> str:
    return ",".join(str(seed) for seed in sorted(trial.seed for trial in one.trials))


def _parameters(compared: Sequence[Configuration]) -> Finding:
    least = min(compared, key=lambda one: one.n_params)
    most = max(compared, key=lambda one: one.n_params)
    ratio = most.n_params / max(least.n_params, 1)
    if ratio <= EQUAL_PARAMETERS:
        return Finding("parameters", value=f"{least.n_params:,}" if ratio == 1 else "within 2 %")
    words = f"{most.label} has {most.n_params:,}, {ratio:.2g} times the {least.n_params:,} of {least.label}"
    return Finding("parameters", words)


def _block(one: Configuration) -> str:
    return one.trials[0].record.params.get(BLOCK, str(later_keys()[BLOCK]))


def _steps(one: Configuration, histories: Histories) -> str:
    """The last steps of a configuration's trials, empty where their histories were not read."""
    losses = [histories.get(trial.run_id, {}).get(Curve.VAL_LOSS) for trial in one.trials]
    last = {int(loss.steps[-1]) for loss in losses if loss is not None}
    return " to ".join(f"{step:,}" for step in sorted({min(last), max(last)})) if last else ""


def _by_tag(what: str, tag: str, compared: Sequence[Configuration], default: str = "unknown") -> Finding:
    def value(one: Configuration) -> str:
        return " and ".join(sorted({trial.record.tags.get(tag, default)[:LONGEST_TAG] for trial in one.trials}))

    return _shared(what, {one.label: value(one) for one in compared})


def _settings(data: SweepData, compared: Sequence[Configuration]) -> str:
    if data.swept is None:
        return ""
    # digest and block are looked at by themselves, cells are what is compared, data blocks are not compared
    expected = {Tag.DATA_DIGEST, CELL, BLOCK, *data.swept}
    if len(by(compared, lambda one: one.block)) > 1:
        expected |= {key for one in compared for key in one.settings} - {
            key for one in compared for key, _ in one.identity
        }
    left = [key for key in differing([one.settings for one in compared]) if key not in expected]
    parts = []
    for key in left[: 2 * LONGEST_LIST]:
        values = list(dict.fromkeys(one.settings.get(key, "none") for one in compared))
        parts.append(f"{key} ({', '.join(values[:LONGEST_LIST])}{' …' if len(values) > LONGEST_LIST else ''})")
    more = [f"and {len(left) - len(parts)} more"] if len(left) > len(parts) else []
    return ", ".join([*parts, *more])


def _shared(what: str, values: Mapping[str, str]) -> Finding:
    """What all labels share; `4,290 (GRU, LSTM); 2,000 (SimpleRNN)` if they differ, or trials within a label do."""
    labels: dict[str, list[str]] = defaultdict(list)
    for label, value in values.items():
        labels[value].append(label)
    if not labels:
        return Finding(what, value="not looked at")
    if len(labels) > 1:
        return Finding(what, "; ".join(f"{value} ({_listed(names)})" for value, names in labels.items()))
    (value,) = labels
    differs_within = " and " in value or " to " in value
    return Finding(what, value) if differs_within else Finding(what, value=value)


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - LONGEST_LIST} more" if len(names) > LONGEST_LIST else ""
    return ", ".join(names[:LONGEST_LIST]) + more
