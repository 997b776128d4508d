"""Runs steps one after another, each point under a time limit, all within a budget."""

import json
import math
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from typing import IO, Any

from benchmarks.gpu_check.check import Check
from benchmarks.gpu_check.child import FAILED, NO_GPU
from benchmarks.gpu_check.lines import Line, Lines
from src import REPOSITORY

# A point that takes so many times its usual time is ended; a process that starts may take a while to begin with one.
PATIENCE, STARTING = 3, 90
START = 10  # seconds until the first point of a process, where all is well


class NoGpu(Exception):
    """The machine has no CUDA device."""


class OutOfTime(Exception):
    """The time that a step has is used; says what of the step is left."""


@dataclass(frozen=True)
class Step:
    """A step by its name, and the module that has its points, as benchmarks.gpu_check.steps describes them."""

    stage: int
    name: str
    module: str

    @property
    def seconds(self) -> float:
        """The usual time of a point."""
        return float(import_module(self.module).SECONDS)

    @property
    def share(self) -> float:
        """The seconds that it has in a first round of all steps."""
        return float(import_module(self.module).SHARE)


@dataclass(frozen=True)
class Runner:
    """Runs what the lines do not know yet.

    Args:
        deadline: on the monotonic clock; what does not fit before is left.
        again: whether points that failed are measured again.
    """

    check: Check
    lines: Lines
    deadline: float
    again: bool = False

    def run(self, steps: Sequence[Step]) -> list[str]:
        """Run the steps, first each for its share of time, then all to their ends; those that are left, in words.

        Raises:
            NoGpu: if the check is for a GPU and there is none.
        """
        tried: dict[str, set[str]] = {step.name: set() for step in steps}
        waiting = {step: "" for step in steps if self.again or not self.lines.is_over(step.name)}
        for is_first_round in (True, False):
            for step in list(waiting):
                until = time.monotonic() + (START + step.share if is_first_round else math.inf)
                try:
                    while not self._run_process(step, tried[step.name], until):
                        pass
                except OutOfTime as words:
                    waiting[step] = str(words)
                else:
                    del waiting[step]
                    self.lines.add({"stage": step.stage, "step": step.name, "over": True})
        return [f"stage {step.stage}, {step.name}: {words}" for step, words in waiting.items()]

    def _run_process(self, step: Step, tried: set[str], until: float) -> bool:
        """Run one process of a step, of which no point but the first begins after `until`.

        Returns:
            Whether the step is over, else the points that are not tried need another process.
        """
        if self._left() < step.seconds + START:
            raise OutOfTime("what is not measured yet")
        with _Process(self._command(step, tried), self.check) as process:
            point = ""  # that is being measured
            while True:
                limit = step.seconds * PATIENCE if point else STARTING
                line = process.next_line(min(limit, self._left()))
                if line is not None and "point" in line:
                    self._keep(step, line.pop("point"), tried, line)
                    point = ""
                elif line is not None and "ended" in line:
                    return self._is_over(step, point, line["ended"], tried)
                elif line is not None and self._left() >= step.seconds and (time.monotonic() < until or not tried):
                    point = line["begins"]
                elif line is not None or self._left() <= 0:
                    raise OutOfTime(f"from {line['begins'] if line else point or 'its start'} on")
                else:
                    self._keep(step, point or "start", tried, {"error": f"ended after {limit:g} s", "seconds": limit})
                    return not point

    def _is_over(self, step: Step, point: str, code: int, tried: set[str]) -> bool:
        if code == NO_GPU:
            raise NoGpu
        if code in (0, FAILED):
            return code == 0
        self._keep(step, point or "start", tried, {"error": f"the process ended with {code}: see log.txt"})
        return not point

    def _keep(self, step: Step, point: str, tried: set[str], line: Line) -> None:
        tried.add(point)
        self.lines.add({"stage": step.stage, "step": step.name, "point": point} | line)
        words = line.get("error") or json.dumps(line.get("result"))
        print(f"{step.stage} {step.name}, {point}: {words[:200]}", flush=True)

    def _command(self, step: Step, tried: set[str]) -> list[str]:
        told = self.lines.points(step.name)
        known = tried | {name for name, line in told.items() if "result" in line or not self.again}
        data = None if self.check.data is None else str(self.check.data)
        check = {"device": self.check.device, "data": data, "out": str(self.check.out), "known": sorted(known)}
        return [sys.executable, "-m", "benchmarks.gpu_check.child", step.module, json.dumps(check)]

    def _left(self) -> float:
        return self.deadline - time.monotonic()


class _Process:
    """A process in a group of its own, which ends with this context; what it says on standard error goes to log.txt."""

    def __init__(self, command: Sequence[str], check: Check) -> None:
        self._log = (check.out / "log.txt").open("ab")
        self._process = subprocess.Popen(
            command,
            cwd=REPOSITORY,
            env=os.environ | {"PYTHONUNBUFFERED": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            start_new_session=True,
        )
        self._lines: queue.Queue[Line] = queue.Queue()
        assert self._process.stdout is not None
        self._output: IO[str] = self._process.stdout
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> "_Process":
        return self

    def __exit__(self, *_: Any) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._reader.join()
        self._output.close()
        self._log.close()

    def next_line(self, seconds: float) -> Line | None:
        """The next line, or {"ended": code}; None if there is none within so many seconds."""
        with suppress(queue.Empty):
            return self._lines.get(timeout=max(seconds, 0.0))
        return None

    def _read(self) -> None:
        for text in self._output:
            self._lines.put(json.loads(text))
        self._lines.put({"ended": self._process.wait()})
