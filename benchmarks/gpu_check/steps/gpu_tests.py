"""The tests that need a GPU."""

import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from benchmarks.gpu_check.check import Check, Point
from src import REPOSITORY

TITLE, SECONDS = "`pytest -m gpu`", 60


def points(check: Check) -> Iterator[Point]:
    yield Point("all", lambda: run_tests(check))


def run_tests(check: Check) -> dict[str, Any]:
    """Each test's outcome; all that pytest says goes to pytest.txt."""
    arguments = ["-m", "gpu", "-p", "no:cacheprovider", "-p", "no:xdist", "-rA", "--tb=short", "--durations=0"]
    with (check.out / "pytest.txt").open("w+") as said:
        command = [sys.executable, "-m", "pytest", *arguments]
        code = subprocess.run(command, cwd=REPOSITORY, stdout=said, stderr=said, check=False).returncode
        said.seek(0)
        text = said.read()
    outcomes = re.findall(r"^(PASSED|FAILED|ERROR|SKIPPED) (.*)$", text, re.MULTILINE)
    return {
        "exit code": code,
        "passed": sum(outcome == "PASSED" for outcome, _ in outcomes),
        "failed": [f"{outcome} {test[:300]}" for outcome, test in outcomes if outcome in ("FAILED", "ERROR")],
        "summary": text.strip().splitlines()[-1] if text.strip() else "",
    }


def report(found: Mapping[str, Any]) -> Iterator[str]:
    for result in found.values():
        yield f"{result['summary'].strip('= ')}; {result['passed']} passed, {len(result['failed'])} failed."
        yield from ["", *(f"- {test}" for test in result["failed"])]
        if result["failed"]:
            yield ""
