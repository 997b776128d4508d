"""The end of a process."""

import atexit
import os
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import NoReturn

UNWRITTEN = 120  # Python's code where its last output could not be written


def run_and_leave(main: Callable[[], None]) -> NoReturn:
    """Run an entry and end the process with its exit code; what it raises besides SystemExit passes through.

    Python would take every object of torch and MLflow apart before it leaves: that is 2 s of nothing.
    """
    code = 0
    try:
        main()
    except SystemExit as end:
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    # What the interpreter does before it takes itself apart.
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    try:
        sys.stdout.flush()
    except (OSError, ValueError):
        code = code or UNWRITTEN
    with suppress(OSError, ValueError):
        sys.stderr.flush()
    os._exit(code)
