"""Files that survive a crash and a power failure."""

import os
import signal

import pytest

from recurrent_cells.files import make_folder, scratch_folder, sync_tree


@pytest.fixture
def synced(monkeypatch) -> set[str]:
    """The paths that were synced."""
    seen: set[str] = set()
    fsync = os.fsync

    def recorded(descriptor: int) -> None:
        seen.add(os.readlink(f"/proc/self/fd/{descriptor}"))  # noqa: PTH115
        fsync(descriptor)

    monkeypatch.setattr("recurrent_cells.files.os.fsync", recorded)
    return seen


def test_a_new_folder_is_named_on_the_disk_as_are_those_above_it(tmp_path, synced):
    make_folder(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").is_dir()
    assert synced == {str(tmp_path), str(tmp_path / "a")}
    synced.clear()
    make_folder(tmp_path / "a" / "b")
    assert synced == set()


def test_a_tree_is_synced_with_its_folders_and_its_name(tmp_path, synced):
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "file").write_text("content")
    sync_tree(tmp_path / "a")
    assert synced == {str(tmp_path), *(str(tmp_path / name) for name in ("a", "a/b", "a/b/file"))}


def test_scratch_folders_of_killed_processes_are_removed_and_those_of_living_ones_stay(tmp_path):
    def held(reader_end: int) -> None:
        with scratch_folder(tmp_path, "new-"):
            os.write(reader_end, b"x")
            signal.pause()

    children = []
    for _ in range(2):
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            held(writer)
        assert os.read(reader, 1) == b"x"
        os.close(reader)
        os.close(writer)
        children.append(child)
    os.kill(children[0], signal.SIGKILL)
    os.waitpid(children[0], 0)
    assert len(list(tmp_path.iterdir())) == 2
    with scratch_folder(tmp_path, "new-") as own:
        assert len(list(tmp_path.iterdir())) == 2
        (own / "file").write_text("kept under another name")
        own.rename(tmp_path / "done")
    os.kill(children[1], signal.SIGKILL)
    os.waitpid(children[1], 0)
    with scratch_folder(tmp_path, "new-"):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["done"]
