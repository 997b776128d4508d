"""The tests that need a GPU."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from benchmarks.gpu_check.check import Check, Point
from src import REPOSITORY

TITLE, SECONDS, SHARE = "`pytest -m gpu`", 60, 60
WORKERS = 6  # which share the GPU: most of a test is compiling and starting
LIMIT = 160  # seconds: less than a point may take, so that what was found until then is kept


def points(check: Check) -> Iterator[Point]:
    yield Point("all", lambda: run_tests(check))


def run_tests(check: Check) -> dict[str, Any]:
    """Each test's outcome as far as they came; all that pytest says goes to pytest.txt."""
    command = [sys.executable, "-m", "pytest", "-m", "gpu", "-p", "no:cacheprovider", "-vv", "-rfE"]
    command += ["-p", "xdist", "-n", str(WORKERS if check.device == "gpu" else 1)]
    environment = os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}  # warnings of others' plugins would be errors
    path = check.out / "pytest.txt"
    with path.open("w") as said:
        try:
            code = subprocess.run(
                command, cwd=REPOSITORY, env=environment, stdout=said, stderr=said, check=False, timeout=LIMIT
            ).returncode
        except subprocess.TimeoutExpired:
            code = None
    text = path.read_text()
    outcomes = re.findall(r"^\[gw\d+\].* (PASSED|FAILED|ERROR|SKIPPED) (tests/\S+::.*?) *$", text, re.MULTILINE)
    reasons = dict(re.findall(r"^(?:FAILED|ERROR) (tests/\S+::.*?) - (.*)$", text, re.MULTILINE))
    last = text.strip().splitlines()[-1].strip("= ") if text.strip() else "nothing said"
    return {
        "exit code": code,
        "passed": sum(outcome == "PASSED" for outcome, _ in outcomes),
        "failed": [
            f"{test}: {reasons.get(test, '')[:300]}" for outcome, test in outcomes if outcome in ("FAILED", "ERROR")
        ],
        "summary": last if code is not None else f"stopped after {LIMIT} s at {last}",
    }


def report(found: Mapping[str, Any]) -> Iterator[str]:
    for result in found.values():
        yield f"{result['summary']}; {result['passed']} passed, {len(result['failed'])} failed."
        yield from ["", *(f"- {test}" for test in result["failed"])]
        if result["failed"]:
            yield ""
