"""Whether a sweep is as good as a baseline: an accuracy regression test that knows about noise."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from math import isfinite
from xml.etree import ElementTree

from recurrent_cells.reports.baseline import Baseline
from recurrent_cells.reports.metric import Metric
from recurrent_cells.statistics.comparisons import compare, compare_paired


class Answer(IntEnum):
    """Exit codes of the command."""

    NOT_WORSE = 0
    WORSE = 1
    UNDECIDED = 3


@dataclass(frozen=True)
class Checked:
    """What a check came to, in a sentence; `name` is of the configuration that was checked."""

    name: str
    answer: Answer
    sentence: str


def check(name: str, candidate: Mapping[str, float], baseline: Baseline, margin: float) -> Checked:
    """Hold the values of a candidate against a baseline's.

    NOT_WORSE if the 95 % interval of the difference lies above -margin, or if all values are equal to the bit; else
    WORSE if the interval lies below 0; else UNDECIDED. Trials of equal fingerprints are paired.

    Args:
        candidate: test values by fingerprint, of runs that are no part of the baseline; if there are none, the
            answer is UNDECIDED: fingerprints leave the code out, so that a run of both tells nothing of its changes.
        margin: in points of a share, else in the metric's unit.
    """
    if not candidate or not baseline.values:
        words = "nothing was newly trained to compare; sweep.rerun=all trains the same trials again"
        return Checked(name, Answer.UNDECIDED, f"{name} and {baseline.name}: {words}.")
    metric = Metric(f"test/{baseline.metric}", baseline.higher_is_better, baseline.is_share)
    difference, half = _difference(candidate, baseline)
    seeds = f"{len(candidate)} against {len(baseline.values)} seeds"
    if all(baseline.values.get(trial) == value for trial, value in candidate.items()):
        return Checked(name, Answer.NOT_WORSE, f"{name} equals {baseline.name} to the bit ({seeds}).")
    low, high = difference - half, difference + half
    allowed = margin / metric.scale
    answer = Answer.NOT_WORSE if low > -allowed else Answer.WORSE if high < 0 else Answer.UNDECIDED
    within = f"by more than {margin:g} points" if metric.is_share else f"by more than {margin:g}"
    said = {
        Answer.NOT_WORSE: f"is not worse than {baseline.name} {within}",
        Answer.WORSE: f"is worse than {baseline.name}",
        Answer.UNDECIDED: f"may be worse than {baseline.name} {within}, more seeds would tell",
    }
    interval = metric.amount(difference, half) if isfinite(half) else "without any spread to judge by"
    sentence = f"{name} {said[answer]}: {metric.name} differs by {interval} ({seeds})."
    return Checked(name, answer, sentence)


def _difference(candidate: Mapping[str, float], baseline: Baseline) -> tuple[float, float]:
    """How much better the candidate is (less than 0: worse) and half the 95 % interval, NaN if there is none."""
    better_higher = baseline.higher_is_better
    if candidate.keys() <= baseline.values.keys():
        paired = {trial: baseline.values[trial] for trial in candidate}
        (found,) = compare_paired({"candidate": dict(candidate), "baseline": paired}, better_higher)
    else:
        values = {"candidate": list(candidate.values()), "baseline": list(baseline.values.values())}
        (found,) = compare(values, better_higher)
    return found.difference if found.better == "candidate" else -found.difference, found.half


def as_junit(checked: Checked) -> str:
    """A JUnit report of one test: a failure if the candidate is worse, skipped if it is undecided."""
    suite = ElementTree.Element("testsuite", name="recurrent-cells check", tests="1")
    suite.set("failures", str(int(checked.answer is Answer.WORSE)))
    suite.set("skipped", str(int(checked.answer is Answer.UNDECIDED)))
    case = ElementTree.SubElement(suite, "testcase", classname="recurrent_cells.check", name=checked.name)
    if checked.answer is not Answer.NOT_WORSE:
        kind = "failure" if checked.answer is Answer.WORSE else "skipped"
        ElementTree.SubElement(case, kind, message=checked.sentence)
    return ElementTree.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"
