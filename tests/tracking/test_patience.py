"""Failures are waited out, hopeless ones are not, and the complaint names the cause."""

import sqlite3

import pytest
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE
from sqlalchemy.exc import OperationalError

from recurrent_cells.errors import DeliveryError, UserError
from recurrent_cells.tracking import patience
from recurrent_cells.tracking.patience import patiently, reason


@pytest.fixture(autouse=True)
def hasty(monkeypatch):
    monkeypatch.setattr(patience, "FIRST_WAIT", 0.001)


class Failing:
    """Raises its errors one by one, then answers."""

    def __init__(self, *errors: Exception) -> None:
        self.errors, self.calls = list(errors), 0

    def __call__(self) -> str:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return "answer"


def test_passing_failures_are_waited_out():
    broken = OperationalError("SELECT 1", None, sqlite3.OperationalError("disk I/O error"))
    action = Failing(MlflowException("away"), OSError("full"), UserError("server away"), broken)
    assert patiently(action, 5) == "answer"
    assert action.calls == 5


def test_without_patience_there_is_one_attempt():
    action = Failing(MlflowException("away"))
    with pytest.raises(DeliveryError, match=r"the tracking store fails \(away\)"):
        patiently(action, 0)
    assert action.calls == 1


def test_what_will_not_get_better_is_not_tried_again():
    action = Failing(MlflowException("no such param", error_code=INVALID_PARAMETER_VALUE))
    with pytest.raises(DeliveryError, match="it said no such param"):
        patiently(action, 5, complaint="it said {reason}")
    assert action.calls == 1


def test_other_errors_are_no_failures_of_the_store():
    action = Failing(TypeError("a bug"))
    with pytest.raises(TypeError):
        patiently(action, 5)
    assert action.calls == 1


def test_a_message_for_users_is_kept():
    with pytest.raises(UserError, match="start it"):
        patiently(Failing(UserError("start it")), 0)


def raised(action) -> BaseException:
    with pytest.raises(MlflowException) as caught:
        action()
    return caught.value


def test_the_reason_is_what_lies_at_the_bottom():
    def request():
        try:
            raise ConnectionRefusedError(111, "Connection refused")
        except OSError:
            raise MlflowException("API request to http://… failed with a long story")  # noqa: B904

    assert reason(raised(request)) == "Connection refused"


def test_the_reason_is_not_the_error_a_trial_died_of():
    def delivery():
        try:
            raise ZeroDivisionError("in training")
        except ZeroDivisionError:
            raise MlflowException("away")  # noqa: B904

    assert reason(raised(delivery)) == "away"


def test_a_reason_is_one_line():
    assert reason(ValueError("first\nsecond")) == "first"
    assert reason(ValueError()) == "ValueError"
    assert len(reason(ValueError("x" * 1000))) == 200
