"""The end of a process."""

import atexit
import os
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import NoReturn

# The shell's codes for Ctrl-C and a closed pipe, Python's for other output that it could not write.
INTERRUPTED, NO_READER, UNWRITTEN = 130, 141, 120


def run_and_leave(main: Callable[[], None]) -> NoReturn:
    """Run an entry and end the process with its exit code: 130 after Ctrl-C, 141 if the reader of its output has gone.

    What else it raises passes through. Left to itself, Python would first take every object of torch and MLflow apart,
    which is 2 s of nothing.
    """
    code = 0
    try:
        main()
    except KeyboardInterrupt:
        code = INTERRUPTED
    except SystemExit as end:
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BrokenPipeError:
        code = NO_READER
    # What the interpreter does before it takes itself apart.
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    try:
        sys.stdout.flush()
    except (OSError, ValueError) as error:
        code = code or (NO_READER if isinstance(error, BrokenPipeError) else UNWRITTEN)
    with suppress(OSError, ValueError):
        sys.stderr.flush()
    os._exit(code)
