"""The live view of a sweep: one line that changes on a terminal, a line per ended trial elsewhere."""

import os
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from types import TracebackType

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
        names: of the trials, by index; they may become known as trials start.
        slots: how many run at once.
        where: in what they run, in words; None is on slots.
        count: how many trials there are; None is as many as names.
    """

    def __init__(
        self, names: Sequence[str], slots: int, where: str | None = None, count: Callable[[], int] | None = None
    ) -> None:
        self._names = names
        self._count = count or (lambda: len(names))
        self._slots = slots
        self._where = where
        self._started: dict[int, float] = {}
        self._durations: list[float] = []
        self._done = 0
        self._failed = 0
        self._busy = 0
        self._best: tuple[float, str] | None = None
        self._terminal = sys.stderr is not None and sys.stderr.isatty()
        self._shown = 0.0

    def __enter__(self) -> "View":
        count = self._count()
        slots = min(self._slots, count)
        where = self._where or f"on {slots} {'slot' if slots == 1 else 'slots'}"
        self._print(f"{count} {'trial' if count == 1 else 'trials'} {where}")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._terminal:
            say(CLEAR, end="")

    def started(self, index: int) -> None:
        self._started[index] = time.monotonic()

    def ended(self, index: int, outcome: Outcome) -> None:
        seconds = time.monotonic() - self._started.pop(index)
        name = self._names[index]
        if outcome.status == "finished":
            self._done += 1
            self._durations.append(seconds)
            accuracy = outcome.result.get("val/acc", 0.0)
            if self._best is None or accuracy > self._best[0]:
                self._best = (accuracy, name)
            said = f"val {accuracy:.4f} test {outcome.result.get('test/acc', 0.0):.4f}  {seconds:.1f} s"
            if "pruned" in outcome.result:
                said += f", pruned at step {outcome.result['pruned']}"
        else:
            self._failed += outcome.status != "busy"
            self._busy += outcome.status == "busy"
            said = f"{outcome.status}: {outcome.error}"
        self._print(f"[{self._done}/{self._count()}] {name}  {said}")

    def stopping(self) -> None:
        if self._started:
            self._print("stopping: running trials save their state; Ctrl-C again ends them at once")

    def tick(self) -> None:
        if self._terminal and time.monotonic() - self._shown > SECONDS_BETWEEN_UPDATES:
            say(f"{CLEAR}{self.status()[: _width() - ROOM_FOR_CTRL_C]}", end="")
            self._shown = time.monotonic()

    def status(self) -> str:
        running = len(self._started)
        left = self._count() - self._done - self._failed - self._busy - running
        parts = [f"{self._done} done, {running} running, {self._failed} failed, {left} left"]
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
            say(f"{line}  ({self.status()})" if self._done + self._failed else line)


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
