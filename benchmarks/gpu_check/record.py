"""The Markdown record of a check: a function of its lines."""

import re
from collections.abc import Iterator
from importlib import import_module

from benchmarks.gpu_check.lines import Line, Lines
from benchmarks.gpu_check.steps import STAGES

Results = dict[str, dict[str, object]]


def record(lines: Lines) -> str:
    """All that was measured, what failed and what is left."""
    machine = _results(lines, "versions").get("machine", {})
    text = [f"# First minutes on {machine.get('name', 'a machine')}", ""]
    text += [f"- `{call['call']}`: {call['seconds']:.0f} s" for call in lines.calls()]
    text += ["", str(machine.get("machine", "")), ""]
    for stage, steps in STAGES.items():
        for step in steps:
            results = _results(lines, step)
            if results:
                text += [*_table(stage, step, results)]
    text += _remarks(lines)
    return "\n".join(text).rstrip() + "\n"


def _table(stage: int, step: str, results: Results) -> list[str]:
    module = import_module(f"benchmarks.gpu_check.steps.{step}")
    title = f"## {stage}. {module.TITLE}"
    try:
        return [title, "", *module.report(results)]
    except (KeyError, TypeError, ValueError) as error:  # lines of another version: the rest of the record is worth more
        return [title, "", f"No table could be made of the lines ({type(error).__name__}: {error}).", ""]


def name(lines: Lines) -> str:
    """The record's file, after the device."""
    device = str(_results(lines, "versions").get("machine", {}).get("name", "unknown"))
    return f"gpu_{re.sub('[^a-z0-9]+', '_', device.lower()).strip('_')}.md"


def _results(lines: Lines, step: str) -> Results:
    return {point: line["result"] for point, line in lines.points(step).items() if "result" in line}


def _remarks(lines: Lines) -> Iterator[str]:
    """What failed, what was warned of, and what is not measured to its end."""
    of_points: list[tuple[str, Line]] = [
        (f"{step}, {point}", line)
        for steps in STAGES.values()
        for step in steps
        for point, line in lines.points(step).items()
    ]
    failed = [f"- {where}: {line['error']}" for where, line in of_points if "error" in line]
    warned = [f"- {where}: {'; '.join(line['warnings'])}" for where, line in of_points if "warnings" in line]
    left = [
        f"- stage {stage}, {step}: {len(lines.points(step))} points so far"
        for stage, steps in STAGES.items()
        for step in steps
        if not lines.is_over(step)
    ]
    for title, items in (("What failed", failed), ("Warnings", warned), ("Left", left)):
        if items:
            yield from [f"## {title}", "", *items, ""]
