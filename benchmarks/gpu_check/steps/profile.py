"""Where the time of a step goes, alone and in packs."""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from benchmarks.gpu_check.check import Check, Point
from benchmarks.packs.programs import Shape, shares

TITLE, SECONDS, SHARE = "Where the time of a step goes", 15, 15


def points(check: Check) -> Iterator[Point]:
    sizes = check.sizes
    precision, tf32 = sizes.arithmetics[0]
    for cell in sizes.cells:
        for count in (1, sizes.counts[0]):
            for route in check.routes if count > 1 else ("auto",):
                shape = Shape(cell, sizes.wide[0], precision, route, tf32)
                name = f"{cell} {shape.hidden_size}, {shape.arithmetic}, {route}, K = {count}"
                yield Point(name, partial(shares, shape, count))


def report(found: Mapping[str, Any]) -> Iterator[str]:
    yield from ["| | kernels a step | share of the time |", "|---|---|---|"]
    for name, result in found.items():
        parts = sorted((kind, part) for kind, part in result.items() if kind != "kernels")
        words = ", ".join(f"{kind} {100 * part:.0f} %" for kind, part in parts)
        yield f"| {name} | {result['kernels']:.0f} | {words} |"
    yield ""
