"""What strikes a command at each of its writes, and a sample of it."""

import errno
import fcntl
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.crash_points.disk import Disk, restore
from benchmarks.crash_points.points import TINY, Campaign, Command, Striker
from benchmarks.crash_points.tracer import KILL, can_trace, run_traced

pytestmark = pytest.mark.skipif(not can_trace(), reason="processes cannot be traced here")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "disk").mkdir()
    return tmp_path / "disk"


def write(path: Path, content: bytes, sync: bool = False) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        if sync:
            os.fsync(file.fileno())


def sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)


def two_files(folder: Path) -> Callable[[], int]:
    """Two files, the name of one changed."""

    def body() -> int:
        (folder / "elsewhere").parent.joinpath("..", "beside").write_bytes(b"not below the folder")
        write(folder / "first", b"1", sync=True)
        write(folder / "second", b"2")
        (folder / "second").rename(folder / "third")
        return 0

    return body


def test_every_write_below_the_folder_is_a_point(folder):
    striker = Striker("all")
    assert run_traced(two_files(folder), folder, striker) == 0
    assert striker.count == 6  # open, write, fsync; open, write; rename


@pytest.mark.parametrize(
    ("at", "left"), [(1, []), (2, ["first"]), (4, ["first"]), (6, ["first", "second"]), (7, ["first", "third"])]
)
def test_a_kill_comes_before_the_call(folder, at, left):
    code = run_traced(two_files(folder), folder, Striker("all", at, KILL))
    assert code == (-9 if at < 7 else 0)
    assert sorted(path.name for path in folder.iterdir()) == left


def test_a_call_fails_with_the_error_given_and_does_nothing(folder):
    def body() -> int:
        descriptor = os.open(folder / "file", os.O_WRONLY | os.O_CREAT)
        try:
            os.write(descriptor, b"content")
        except OSError as error:
            return error.errno or 0
        return 0

    assert run_traced(body, folder, Striker("all", 2, errno.ENOSPC)) == errno.ENOSPC
    assert (folder / "file").read_bytes() == b""


def test_calls_of_threads_and_forked_processes_are_counted_together_or_apart(folder):
    def body() -> int:
        (folder / "mine").mkdir()
        if (pid := os.fork()) == 0:
            (folder / "the child's").mkdir()
            os._exit(0)
        os.waitpid(pid, 0)
        return 0

    counts = []
    for counted in ("all", "the parent", "its children"):
        striker = Striker(counted)
        run_traced(body, folder, striker)
        counts.append(striker.count)
        for path in folder.iterdir():
            path.rmdir()
    assert counts == [2, 1, 1]


@pytest.mark.slow
def test_after_a_kill_no_process_is_left(folder):
    lock = folder.parent / "lock"

    def body() -> int:
        with lock.open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            if os.fork() == 0:
                time.sleep(60)
                os._exit(0)
            (folder / "file").touch()
        return 0

    for _ in range(10):  # the kill comes before or after the child's first step
        assert run_traced(body, folder, Striker("all", 1, KILL)) == -9
        with lock.open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def left_after(folder: Path, work: Callable[[], None], kind: str) -> dict[str, bytes | None]:
    """What a power cut leaves of a folder after some work in it."""
    disk = Disk(folder)

    def body() -> int:
        work()
        return 0

    assert run_traced(body, folder, Striker("all", then=disk.apply)) == 0
    return disk.left(kind)


def test_what_lay_there_before_stays(folder):
    write(folder / "old", b"content")
    assert left_after(folder, lambda: None, "strict") == {"old": b"content"}


@pytest.mark.parametrize(("kind", "left"), [("strict", {}), ("ordered", {"file": b""})])
def test_what_was_not_synced_is_lost(folder, kind, left):
    assert left_after(folder, lambda: write(folder / "file", b"content"), kind) == left


def test_a_synced_file_needs_its_folder_synced_too(folder):
    def work() -> None:
        write(folder / "named", b"content", sync=True)
        sync_folder(folder)
        write(folder / "unnamed", b"content", sync=True)

    assert left_after(folder, work, "strict") == {"named": b"content"}


def test_a_name_changed_is_changed_once_the_folder_is_synced(folder):
    write(folder / "old", b"old")

    def replaced() -> None:
        write(folder / "new", b"new", sync=True)
        (folder / "new").rename(folder / "old")

    def replaced_for_good() -> None:
        replaced()
        sync_folder(folder)

    assert left_after(folder, replaced, "strict") == {"old": b"old"}
    write(folder / "old", b"old")
    assert left_after(folder, replaced, "ordered") == {"old": b"new"}
    write(folder / "old", b"old")
    assert left_after(folder, replaced_for_good, "strict") == {"old": b"new"}


def test_a_removal_is_undone_until_the_folder_is_synced(folder):
    write(folder / "file", b"content")
    assert left_after(folder, (folder / "file").unlink, "strict") == {"file": b"content"}
    write(folder / "file", b"content")
    assert left_after(folder, (folder / "file").unlink, "ordered") == {}


def test_an_image_is_restored_and_nothing_else(folder):
    write(folder / "other", b"content")
    restore(folder, {"inner": None, "inner/file": b"content"})
    assert [str(path.relative_to(folder)) for path in sorted(folder.rglob("*"))] == ["inner", "inner/file"]
    assert (folder / "inner" / "file").read_bytes() == b"content"


@pytest.mark.slow
def test_a_trial_struck_at_a_few_of_its_writes_comes_to_what_it_does_undisturbed(tmp_path, monkeypatch):
    import recurrent_cells.trial.pack  # noqa: F401 - for the processes forked from this one

    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    command = Command((*TINY, "registry=false"))
    results = Campaign(tmp_path / "campaign").run("trial", command, ["kill", "EIO", "ordered"], sample=2)
    assert [result.tried for result in results] == [2, 2, 2]
    assert [result.faults for result in results] == [[], [], []]
