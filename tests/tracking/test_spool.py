"""A spool keeps every byte in order, whatever room the disk has."""

import logging

import pytest

from recurrent_cells.tracking.spool import Spool, SpoolHandler


def test_what_a_full_disk_does_not_take_follows_later_in_order(tmp_path, disk):
    path = tmp_path / "file"
    spool = Spool(path)
    spool.append(b"one ")
    disk.room = 2
    spool.append(b"two ")
    spool.append(b"three")
    assert path.read_bytes() == b"one tw"
    with pytest.raises(OSError, match="No space left on device"):
        spool.sync()
    disk.room = None
    spool.sync()
    assert path.read_bytes() == b"one two three"
    spool.close()


def test_an_existing_file_is_continued(tmp_path):
    (tmp_path / "file").write_bytes(b"before ")
    spool = Spool(tmp_path / "file")
    spool.append(b"after")
    assert (tmp_path / "file").read_bytes() == b"before after"
    spool.close()


def test_log_lines_outlive_a_full_disk(tmp_path, disk, capsys):
    handler = SpoolHandler(tmp_path / "train.log", "run")
    disk.room = 0
    handler.emit(logging.makeLogRecord({"msg": "step %d", "args": (1,), "levelname": "INFO"}))
    assert (tmp_path / "train.log").read_text() == ""
    disk.room = None
    handler.emit(logging.makeLogRecord({"msg": "step %d", "args": (2,), "levelname": "INFO"}))
    handler.close()
    lines = (tmp_path / "train.log").read_text().splitlines()
    assert [line.partition("INFO ")[2] for line in lines] == ["step 1", "step 2"]
    assert capsys.readouterr() == ("", "")
