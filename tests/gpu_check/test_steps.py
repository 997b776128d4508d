"""Every step runs on a CPU at toy sizes, and its results make a table."""

import json
from importlib import import_module
from itertools import islice

import pytest

from benchmarks.gpu_check.check import Check
from benchmarks.gpu_check.steps import STAGES, resume

STEPS = [step for steps in STAGES.values() for step in steps if step != "resume"]
# These start processes, or take long.
SLOW = ("gpu_tests", "solo", "packs", "profile", "sweeps")


@pytest.fixture
def check(tmp_path):
    return Check("cpu", None, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", [pytest.param(it, marks=pytest.mark.slow) if it in SLOW else it for it in STEPS])
def test_a_step_on_a_cpu(check, name):
    step = import_module(f"benchmarks.gpu_check.steps.{name}")
    found = {}
    for point in islice(step.points(check), 3):
        found[point.name] = json.loads(json.dumps(point.measure()))
    text = "\n".join(step.report(found))
    assert step.TITLE
    assert step.SECONDS > 0
    assert text.count("|") or name in ("versions", "gpu_tests")


@pytest.mark.slow
def test_a_trial_killed_on_a_cpu_ends_with_the_weights_of_an_undisturbed_one(check):
    found = {point.name: point.measure() for point in islice(resume.points(check), 2)}
    assert [result["trials"] for result in found.values()] == [1, 3]
    assert [result["same"] for result in found.values()] == [1, 3]
    text = "\n".join(resume.report(found))
    assert all(f"| {name} |" in text for name in found)
