"""Waiting for a store that fails for a while: a server restarted, a disk full, a database locked."""

import time
from collections.abc import Callable
from typing import TypeVar

from recurrent_cells.errors import DeliveryError, UserError, first_line

T = TypeVar("T")

FIRST_WAIT, LONGEST_WAIT = 0.25, 2.0
Failures = type[Exception] | tuple[type[Exception], ...]
COMPLAINT = "the tracking store fails ({reason}); once it works the same command goes on"
# What the store says when the request itself is wrong and will not get better.
FINAL = ("INVALID_PARAMETER_VALUE", "RESOURCE_DOES_NOT_EXIST", "RESOURCE_ALREADY_EXISTS", "PERMISSION_DENIED")


def store_failures() -> tuple[type[Exception], ...]:
    """What a store that fails raises."""
    from mlflow.exceptions import MlflowException  # here: imports for seconds
    from sqlalchemy.exc import SQLAlchemyError  # as MlflowException, but while MLflow opens the store

    return MlflowException, SQLAlchemyError, OSError, UserError


def patiently(
    action: Callable[[], T], patience: float, failures: Failures | None = None, complaint: str = COMPLAINT
) -> T:
    """The action's result; after one of `failures`, by default a store's, it is tried again for `patience` seconds.

    Raises:
        DeliveryError: with the complaint, if it fails to the end or for good.
        UserError: if that is what the action raises to the end.
    """
    deadline, wait = time.monotonic() + patience, FIRST_WAIT
    while True:
        try:
            return action()
        except Exception as error:
            if not isinstance(error, failures or store_failures()):
                raise
            left = deadline - time.monotonic()
            if getattr(error, "error_code", None) in FINAL or left <= 0:
                if isinstance(error, UserError):
                    raise
                raise DeliveryError(complaint.replace("{reason}", reason(error))) from error
        time.sleep(min(wait, left))
        wait = min(2 * wait, LONGEST_WAIT)


def reason(error: BaseException) -> str:
    """The first line of what lies at the bottom of an error, at most 200 characters."""
    while (below := _below(error)) is not None:
        error = below
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return first_line(error)


def _below(error: BaseException) -> BaseException | None:
    """What caused it; a context only if it is of the network, as any other may be the trial's own error."""
    context = error.__context__
    of_network = isinstance(context, OSError) or type(context).__module__.startswith("urllib3")
    return error.__cause__ or (context if of_network else None)
