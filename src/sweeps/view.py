"""The live view of a sweep: one line that changes on a terminal, a line per ended trial elsewhere."""

import statistics
import sys
import time
from types import TracebackType

from src.sweeps.outcome import Outcome

SECONDS_BETWEEN_UPDATES = 0.5


class View:
    """Counts trials done, running, failed and left; knows the best so far and about how long is left."""

    def __init__(self, names: list[str], slots: int) -> None:
        self._names = names
        self._slots = slots
        self._started: dict[int, float] = {}
        self._durations: list[float] = []
        self._done = 0
        self._failed = 0
        self._best: tuple[float, str] | None = None
        self._terminal = sys.stderr.isatty()
        self._shown = 0.0

    def __enter__(self) -> "View":
        count = len(self._names)
        self._print(f"{count} {'trial' if count == 1 else 'trials'} on {min(self._slots, count)} slots")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._terminal:
            sys.stderr.write("\r\x1b[K")

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
        else:
            self._failed += outcome.status != "busy"
            said = f"{outcome.status}: {outcome.error}"
        self._print(f"[{self._done}/{len(self._names)}] {name}  {said}")

    def tick(self) -> None:
        if self._terminal and time.monotonic() - self._shown > SECONDS_BETWEEN_UPDATES:
            sys.stderr.write(f"\r\x1b[K{self.status()}")
            sys.stderr.flush()
            self._shown = time.monotonic()

    def status(self) -> str:
        running = len(self._started)
        left = len(self._names) - self._done - self._failed - running
        parts = [f"{self._done} done, {running} running, {self._failed} failed, {left} left"]
        if self._best is not None:
            parts.append(f"best {self._best[0]:.4f} ({self._best[1]})")
        if self._durations:
            seconds = statistics.mean(self._durations) * (left + running / 2) / self._slots
            parts.append(f"about {seconds:.0f} s left")
        return "; ".join(parts)

    def _print(self, line: str) -> None:
        if self._terminal:
            sys.stderr.write(f"\r\x1b[K{line}\n")
        else:
            ending = f"  ({self.status()})" if self._done + self._failed else ""
            sys.stderr.write(f"{line}{ending}\n")
        sys.stderr.flush()
