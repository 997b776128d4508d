"""A trial is held by one process at a time, and by none once that is dead."""

import os
import signal

import pytest

from recurrent_cells.errors import TrialBusy
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


def test_a_trial_can_be_trained_in_two_experiments_at_once(store):
    elsewhere = open_store("elsewhere")
    with trial_lock(store, "abc"), trial_lock(elsewhere, "abc") as held:
        assert held is None
