"""Temporary files of commands, and what killed ones leave."""

import fcntl
import os
import tempfile
from pathlib import Path

import pytest

from recurrent_cells import scratch


@pytest.fixture
def shared(tmp_path, monkeypatch) -> Path:
    """The folder for temporary files of all programs."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(scratch, "_shared", None)
    monkeypatch.setattr(scratch, "_own", None)
    return tmp_path


def leave(folder: Path, age: float) -> Path:
    """What a command that was killed so many seconds ago has left."""
    folder.mkdir()
    (folder / "tmp1").mkdir()
    os.utime(folder, (folder.stat().st_mtime - age,) * 2)
    return folder


def test_what_killed_commands_left_is_removed_and_what_is_in_use_is_not(shared):
    left, new, used = (leave(shared / f"{scratch.PREFIX}{age}", age) for age in (100, 1, 200))
    others = leave(shared / "other-program", 1000)
    descriptor = os.open(used, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    scratch.take_scratch()
    os.close(descriptor)
    assert scratch._own is not None
    scratch._own.cleanup()
    assert (left.exists(), new.exists(), used.exists(), others.exists()) == (False, True, True, True)


def test_temporary_files_go_with_the_command_and_logs_stay(shared):
    scratch.take_scratch()
    with tempfile.NamedTemporaryFile() as file:
        assert Path(file.name).parent.parent == shared
    log = scratch.new_log("trial-")
    assert log.parent == shared
    assert scratch._own is not None
    scratch._own.cleanup()
    assert list(shared.iterdir()) == [log]
