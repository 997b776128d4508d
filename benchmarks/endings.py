"""How a benchmark ends that is ended before it is done: with all that it started."""

import atexit
import signal
import subprocess
import sys


def end_in_order() -> None:
    """Have SIGTERM end this process as `sys.exit` does, so that servers and clusters are ended with it."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))


def ended_with_this(process: "subprocess.Popen[bytes]") -> "subprocess.Popen[bytes]":
    """A process that is killed when this one ends."""
    atexit.register(process.kill)
    return process
