"""Processes forked from this process, which report outcomes line by line through a pipe and die with this process."""

import json
import os
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import IO, Any, Generic, NoReturn, TypeVar

from recurrent_cells.interrupts import SIGNALS, die_with
from recurrent_cells.scratch import new_log
from recurrent_cells.trial.outcome import Outcome

LONGEST_READ = 1 << 16

Tell = Callable[[int, Outcome], None]
Work = Callable[[Tell], None]
T = TypeVar("T")


@dataclass
class Child(Generic[T]):
    """A forked process at work.

    Args:
        items: what the process works on and has not told the outcome of, by place.
        said: outcomes as told, not taken yet.
        status: of the process once it has ended.
        console: all that the process writes, in a file without a name, of which a kill leaves nothing.
    """

    items: dict[int, T]
    slot: int
    pid: int
    pipe: int
    console: IO[bytes]
    said: list[dict[str, Any]] = field(default_factory=list)
    status: int | None = None
    _half: bytes = b""
    _log: Path | None = None

    def read(self) -> None:
        with suppress(BlockingIOError):
            while content := os.read(self.pipe, LONGEST_READ):
                *lines, self._half = (self._half + content).split(b"\n")
                self.said += [json.loads(line) for line in lines]

    def outcomes(self) -> Iterator[tuple[T, Outcome]]:
        """What became of the items since the last call: those told of, and all others once the process has ended."""
        for said in self.said:
            yield self.items.pop(said.pop("place")), self._with_console(Outcome(**said))
        self.said.clear()
        if self.status is None:
            return
        for item in self.items.values():
            yield item, self._with_console(self._unsaid())
        self.console.close()

    def _unsaid(self) -> Outcome:
        """What became of an item of which the ended process told nothing."""
        assert self.status is not None
        code = os.waitstatus_to_exitcode(self.status)
        if code >= 0:
            outcome = Outcome("failed", error=f"process {self.pid} exited with {code}")
        else:
            name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
            outcome = Outcome("killed", error=f"process {self.pid} was ended by {name}")
        last = self._last_words()
        return replace(outcome, error=f"{outcome.error}; it said last: {last[:200]}") if last else outcome

    def _with_console(self, outcome: Outcome) -> Outcome:
        """The outcome; if something went wrong, with a file of all that the process wrote."""
        if outcome.status not in ("failed", "killed") or not self._last_words():
            return outcome
        with suppress(OSError):  # a full disk; the outcome counts
            self._log = self._log or new_log("trial-")
            self._log.write_bytes(self._written())
        return replace(outcome, log=str(self._log or ""))

    def _written(self) -> bytes:
        handle = self.console.fileno()  # the process writes where a seek would lead
        return os.pread(handle, os.fstat(handle).st_size, 0)

    def _last_words(self) -> str:
        lines = self._written().decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else ""


class Children(Generic[T]):
    """Processes at work, each on a slot of its own."""

    def __init__(self) -> None:
        self._alive: list[Child[T]] = []

    def __len__(self) -> int:
        return len(self._alive)

    @property
    def free_slot(self) -> int:
        """The lowest number of a slot that no process has."""
        return next(slot for slot in count() if slot not in {child.slot for child in self._alive})

    def fork(self, slot: int, items: Sequence[T], work: Work, environment: dict[str, str]) -> None:
        """Start a process that does `work` on some items and ends."""
        reader, writer = os.pipe()
        os.set_blocking(reader, False)
        console = tempfile.TemporaryFile()  # noqa: SIM115 - read when the process has ended
        _flush()
        parent = os.getpid()
        # A signal meets a child that is not yet born or one that is ready for it.
        unblocked = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        try:
            pid = os.fork()
            if pid == 0:
                _be_child(work, parent, console.fileno(), writer, environment, unblocked)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, unblocked)
        os.close(writer)
        self._alive.append(Child(dict(enumerate(items)), slot, pid, reader, console))

    def outcomes(self) -> Iterator[tuple[T, Outcome]]:
        """What became of items since the last call."""
        for child in list(self._alive):
            pid, status = os.waitpid(child.pid, os.WNOHANG)
            child.read()
            if pid:
                child.status = status
                os.close(child.pipe)
                self._alive.remove(child)
            yield from child.outcomes()

    def signal(self, signum: int) -> None:
        for child in self._alive:
            os.kill(child.pid, signum)

    def kill(self) -> None:
        """End those that are left at once."""
        for child in self._alive:
            with suppress(ProcessLookupError, ChildProcessError):
                os.kill(child.pid, signal.SIGKILL)
                os.waitpid(child.pid, 0)
            child.console.close()
        self._alive.clear()


def _be_child(
    work: Work,
    parent: int,
    console: int,
    writer: int,
    environment: dict[str, str],
    unblocked: set[int | signal.Signals],
) -> NoReturn:
    """In the child: nothing leaves this function, the parent's stack is not ours to unwind."""
    code = 1
    try:
        _enter_child(parent, console)
        signal.pthread_sigmask(signal.SIG_SETMASK, unblocked)
        os.environ.update(environment)
        work(lambda place, outcome: _write(writer, f"{json.dumps({'place': place} | asdict(outcome))}\n".encode()))
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        with suppress(Exception):
            _flush()
        os._exit(code)


def _write(descriptor: int, content: bytes) -> None:
    while content:
        content = content[os.write(descriptor, content) :]


def _enter_child(parent: int, console: int) -> None:
    """Die with the parent, keep out of the terminal's Ctrl-C (the parent passes it on), write to a file."""
    die_with(parent)
    os.setpgid(0, 0)
    for signum in SIGNALS:
        signal.signal(signum, signal.SIG_DFL)
    os.dup2(console, 1)
    os.dup2(console, 2)
    sys.stdout = sys.stderr = os.fdopen(console, "w", buffering=1, encoding="utf-8", errors="replace")


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            with suppress(OSError):
                stream.flush()
