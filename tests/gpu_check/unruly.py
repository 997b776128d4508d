"""A step whose points do all that points may do."""

import os
import subprocess
import time
from collections.abc import Iterator
from typing import Any

from benchmarks.gpu_check.check import Check, Point

TITLE, SECONDS, SHARE = "Unruly", 0.5, 60


def points(check: Check) -> Iterator[Point]:
    yield Point("good", loud)
    yield Point("bad", bad)
    yield Point("gone", lambda: os._exit(7))
    yield Point("slow", slow)
    yield Point("last", lambda: {"value": 2})


def loud() -> dict[str, Any]:
    subprocess.run(["echo", "from another process"], check=True)
    print("and from this one", flush=True)
    return {"value": 1}


def bad() -> dict[str, Any]:
    raise ValueError("nothing\ncomes of it")


def slow() -> dict[str, Any]:
    time.sleep(60)
    return {}
