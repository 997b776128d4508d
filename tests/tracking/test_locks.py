"""A trial is held by one process at a time, and by none once that is dead."""

import errno
import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from recurrent_cells.errors import DeliveryError, TrialBusy
from recurrent_cells.tracking.locks import trial_lock
from recurrent_cells.tracking.store import open_store


def test_a_lock_is_held_once_per_trial(store):
    with trial_lock(store, "abc"):
        with (
            pytest.raises(TrialBusy, match="trial abc is being trained by another process"),
            trial_lock(store, "abc"),
        ):
            pass
        with trial_lock(store, "other") as held:
            assert held is None
    with trial_lock(store, "abc") as held:
        assert held is None


def test_a_lock_dies_with_its_process(store):
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        with trial_lock(store, "abc"):
            os.write(writer, b"held")
            signal.pause()
        os._exit(0)
    assert os.read(reader, 4) == b"held"
    with pytest.raises(TrialBusy), trial_lock(store, "abc"):
        pass
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    with trial_lock(store, "abc") as held:
        assert held is None
    os.close(reader)
    os.close(writer)


@pytest.fixture
def failing_opens(monkeypatch) -> list[OSError]:
    """Errors with which the next files that are opened fail."""
    errors: list[OSError] = []
    original = Path.open

    def opened(self, *arguments, **named):
        if errors:
            raise errors.pop()
        return original(self, *arguments, **named)

    monkeypatch.setattr(Path, "open", opened)
    return errors


def test_a_disk_that_fails_once_is_waited_for(store, failing_opens):
    failing_opens.append(OSError(errno.EIO, "Input/output error"))
    with trial_lock(replace(store, patience=5), "abc") as held:
        assert held is None


def test_a_disk_that_goes_on_failing_is_said(store, failing_opens):
    failing_opens.append(OSError(errno.EIO, "Input/output error"))
    with pytest.raises(DeliveryError, match="cannot be opened \\(Input/output error\\)"), trial_lock(store, "abc"):
        pass


def test_a_trial_can_be_trained_in_two_experiments_at_once(store):
    elsewhere = open_store("elsewhere")
    with trial_lock(store, "abc"), trial_lock(elsewhere, "abc") as held:
        assert held is None
