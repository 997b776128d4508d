"""A trial is held by one process at a time, and by none once that is dead."""

import os
import signal

import pytest

from recurrent_cells.errors import TrialBusy
from recurrent_cells.tracking.locks import trial_lock


def test_a_lock_is_held_once_per_trial(tmp_path):
    with trial_lock(tmp_path, "abc"):
        with (
            pytest.raises(TrialBusy, match="trial abc is being trained by another process"),
            trial_lock(tmp_path, "abc"),
        ):
            pass
        with trial_lock(tmp_path, "other") as held:
            assert held is None
    with trial_lock(tmp_path, "abc"):
        assert (tmp_path / "locks" / "abc").exists()


def test_a_lock_dies_with_its_process(tmp_path):
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        with trial_lock(tmp_path, "abc"):
            os.write(writer, b"held")
            signal.pause()
        os._exit(0)
    assert os.read(reader, 4) == b"held"
    with pytest.raises(TrialBusy), trial_lock(tmp_path, "abc"):
        pass
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    with trial_lock(tmp_path, "abc") as held:
        assert held is None
    os.close(reader)
    os.close(writer)
