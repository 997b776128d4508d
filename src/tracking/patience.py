"""Waiting for a store that fails for a while: a server restarted, a disk full, a database locked."""

import time
from collections.abc import Callable
from typing import TypeVar

from mlflow.exceptions import MlflowException

T = TypeVar("T")

FIRST_WAIT, LONGEST_WAIT = 0.25, 5.0
# What the store says when the request itself is wrong and will not get better.
FINAL = ("INVALID_PARAMETER_VALUE", "RESOURCE_DOES_NOT_EXIST", "RESOURCE_ALREADY_EXISTS", "PERMISSION_DENIED")


def patiently(action: Callable[[], T], patience: float) -> T:
    """The action's result, tried again for `patience` seconds; then its last exception."""
    deadline, wait = time.monotonic() + patience, FIRST_WAIT
    while True:
        try:
            return action()
        except Exception as error:
            final = isinstance(error, MlflowException) and error.error_code in FINAL
            if final or time.monotonic() + wait > deadline:
                raise
        time.sleep(wait)
        wait = min(2 * wait, LONGEST_WAIT)


def reason(error: BaseException) -> str:
    """The first line of an error, at most 200 characters."""
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
