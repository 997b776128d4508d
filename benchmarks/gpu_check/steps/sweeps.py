"""Whole commands: trials an hour in packs, and one after another."""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from benchmarks.commands import timed_sweep
from benchmarks.gpu_check.check import Check, Point
from benchmarks.packs.sweeps import sweep_of

TITLE, SECONDS, SHARE = "Whole commands", 60, 60
PRECISION, EPOCHS = "auto", 5


def points(check: Check) -> Iterator[Point]:
    sizes = check.sizes
    in_packs = ["hydra/launcher=packed", *(["hydra.launcher.max_pack=2"] if check.device == "cpu" else [])]
    for cell in sizes.cells:
        yield Point(f"{cell}, in packs", partial(measure, check, cell, sizes.many, in_packs))
        yield Point(f"{cell}, one after another", partial(measure, check, cell, sizes.few, ["hydra.launcher.slots=1"]))


def measure(check: Check, cell: str, count: int, launcher: list[str]) -> dict[str, Any]:
    epochs = EPOCHS if check.device == "gpu" else 1
    arguments = [*sweep_of(cell, count, epochs, PRECISION), *check.overrides, *launcher]
    ran = timed_sweep(*arguments)
    statuses = [record.status for record in ran.records]
    return {
        "command": " ".join(arguments),
        "trials": count,
        "whole": ran.whole,
        "before": ran.before,
        "training": ran.training,
        "finished": statuses.count("FINISHED"),
    }


def report(found: Mapping[str, Any]) -> Iterator[str]:
    yield "Trials an hour: in packs of the whole command, with imports, evaluations, tests and tracking; one after"
    yield "another from the start of the first trial to the end of the last, the start of the command left out."
    yield from ["", "| cell | in packs | one after another | ratio |", "|---|---|---|---|"]
    for cell in dict.fromkeys(name.split(", ")[0] for name in found):
        packed, alone = found.get(f"{cell}, in packs"), found.get(f"{cell}, one after another")
        rates = [
            3600 * packed["finished"] / packed["whole"] if packed else None,
            3600 * alone["finished"] / alone["training"] if alone else None,
        ]
        words = ["–" if rate is None else f"{rate:,.0f}" for rate in rates]
        ratio = f"{rates[0] / rates[1]:.1f}" if rates[0] and rates[1] else "–"
        yield f"| {cell} | {' | '.join(words)} | {ratio} |"
    yield ""
    for name, result in found.items():
        yield f"- {name}: {result['finished']} of {result['trials']} in {result['whole']:.0f} s, `{result['command']}`"
    yield ""
