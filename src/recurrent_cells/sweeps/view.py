"""The live view of a sweep: one line that changes on a terminal, a line per ended trial elsewhere."""

import os
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING

from recurrent_cells.tables import METRICS

if TYPE_CHECKING:
    from recurrent_cells.sweeps.plan import Trial
    from recurrent_cells.sweeps.standings import Standings
    from recurrent_cells.trial.outcome import Outcome

SECONDS_BETWEEN_UPDATES = 0.5
CLEAR = "\r\x1b[K"
ROOM_FOR_CTRL_C = 3  # a terminal shows it as ^C; a line that wraps cannot be cleared


def say(text: str, end: str = "\n") -> None:
    """Write to standard error at once; whoever watched may be gone, and the sweep goes on."""
    if sys.stderr is not None:
        with suppress(OSError, ValueError):
            sys.stderr.write(f"{text}{end}")
            sys.stderr.flush()


class View:
    """Counts trials done, running, failed and left; knows the best so far and about how long is left.

    Args:
        count: says how many trials there are.
        slots: how many programs run at once.
        where: in what trials run, in words.
        standings: how the configurations compare so far, where that is to be told.
    """

    def __init__(self, count: Callable[[], int], slots: int, where: str, standings: "Standings | None" = None) -> None:
        self._standings = standings
        self._count = count
        self._slots = slots
        self._where = where
        self._started: dict[Trial, float] = {}
        self._statuses: dict[Trial, str] = {}
        self._durations: list[float] = []
        self._best: tuple[float, str] | None = None
        self._terminal = sys.stderr is not None and sys.stderr.isatty()
        self._shown = 0.0

    def __enter__(self) -> "View":
        self._print(f"{counted(self._count(), 'trial')} {self._where}")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._terminal:
            say(CLEAR, end="")

    def started(self, trial: "Trial") -> None:
        self._started[trial] = time.monotonic()
        self._statuses.pop(trial, None)

    def ended(self, trial: "Trial", outcome: "Outcome") -> None:
        seconds = time.monotonic() - self._started.pop(trial)
        self._statuses[trial] = outcome.status
        if outcome.status == "finished":
            self._durations.append(seconds)
            metric = outcome.result.get("metric", "acc")
            value, test = (outcome.result.get(f"{split}/{metric}", 0.0) for split in ("val", "test"))
            sign = 1 if METRICS[metric].higher_is_better else -1
            if self._best is None or sign * value > sign * self._best[0]:
                self._best = (value, trial.label)
            said = f"val {value:.4f} test {test:.4f}  {seconds:.1f} s"
            if "pruned" in outcome.result:
                said += f", pruned at step {outcome.result['pruned']}"
        else:
            said = f"{outcome.status}: {outcome.error}"
        self._print(f"[{self._ended('finished')}/{self._count()}] {trial.label}  {said}")
        if self._standings is not None and (line := self._standings.ended(trial, outcome)):
            say(f"{CLEAR if self._terminal else ''}{line}")

    def _ended(self, *statuses: str) -> int:
        return sum(status in statuses for status in self._statuses.values())

    def stopping(self) -> None:
        if self._started:
            self._print("stopping: running trials save their state; Ctrl-C again ends them at once")

    def tick(self) -> None:
        if self._terminal and time.monotonic() - self._shown > SECONDS_BETWEEN_UPDATES:
            say(f"{CLEAR}{self.status()[: _width() - ROOM_FOR_CTRL_C]}", end="")
            self._shown = time.monotonic()

    def status(self) -> str:
        running, done, failed = len(self._started), self._ended("finished"), self._ended("failed", "killed")
        stopped = self._ended("stopped")
        left = self._count() - len(self._statuses) - running
        parts = [f"{done} done, {running} running, {failed} failed, {left} left"]
        if stopped:
            parts.append(f"{stopped} stopped")
        if self._durations and left + running:
            seconds = statistics.fmean(self._durations) * (left + running / 2) / self._slots
            parts.append(f"about {rounded(seconds)} left")
        if self._best is not None:
            parts.append(f"best {self._best[0]:.4f} ({self._best[1]})")
        return "; ".join(parts)

    def _print(self, line: str) -> None:
        if self._terminal:
            say(f"{CLEAR}{line}")
        else:
            say(f"{line}  ({self.status()})" if self._ended("finished", "failed", "killed") else line)


def table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows as aligned lines, the first column to the left, the others to the right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def counted(count: int, noun: str) -> str:
    """`1 trial`, `2 trials`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def rounded(seconds: float) -> str:
    """A time as `90 s`, `75 min` or `2.5 h`."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def _width() -> int:
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns or 80
    except (OSError, ValueError):
        return 80
