"""A step of more points than its first seconds hold."""

from collections.abc import Iterator

from benchmarks.gpu_check.check import Check, Point

TITLE, SECONDS, FIRST = "Long", 1, 0


def points(check: Check) -> Iterator[Point]:
    for name in ("one", "two", "three"):
        yield Point(name, dict)
