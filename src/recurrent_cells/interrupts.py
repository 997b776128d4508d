"""Ctrl-C and SIGTERM: asked once, the process ends at the next good moment; asked twice, at once."""

import ctypes
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

from recurrent_cells.errors import Interrupted

SIGNALS = (signal.SIGINT, signal.SIGTERM)
PR_SET_PDEATHSIG = 1


class Interruption:
    """Collects a first signal while `deferred`; raises it at once otherwise, and always the second."""

    def __init__(self) -> None:
        self.signum: int | None = None
        self._deferring = False
        self._taken = False

    def __call__(self, signum: int, frame: FrameType | None) -> None:
        first = self.signum is None
        self.signum = signum
        if not (first and self._deferring):
            raise Interrupted(signum)

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """While the body runs, a first signal waits for `raise_if_asked`."""
        self._deferring = True
        try:
            yield
        finally:
            self._deferring = False

    @property
    def asked(self) -> bool:
        return self.signum is not None

    def take(self) -> int | None:
        """The signal that came, given out once; None before it and after that."""
        signum = None if self._taken else self.signum
        self._taken = self._taken or self.asked
        return signum

    def raise_if_asked(self) -> None:
        if self.signum is not None:
            raise Interrupted(self.signum)


@contextmanager
def handled() -> Iterator[Interruption]:
    """Install the handlers while the body runs."""
    interruption = Interruption()
    before = {signum: signal.signal(signum, interruption) for signum in SIGNALS}
    try:
        yield interruption
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)


def die_with(parent: int) -> None:
    """Have the kernel kill this process, just forked, when its parent ends."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def dying_with_this(arguments: Sequence[str]) -> list[str]:
    """A command of Python with some arguments that the kernel kills when this process ends.

    The command sees to that itself: between fork and exec of a process with threads nothing of ours may run.
    """
    leash = (
        f"import ctypes, os, sys; ctypes.CDLL(None).prctl({PR_SET_PDEATHSIG}, {int(signal.SIGKILL)}); "
        f"os.getppid() == {os.getpid()} or os._exit(1); os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
    )
    return [sys.executable, "-I", "-c", leash, *arguments]
