"""A step of more points than its share of time holds."""

from collections.abc import Iterator

from benchmarks.gpu_check.check import Check, Point

TITLE, SECONDS, SHARE = "Long", 1, 0


def points(check: Check) -> Iterator[Point]:
    for name in ("one", "two", "three"):
        yield Point(name, dict)
