"""Damaged runs are found, repaired from what is left, or marked; none of them is taken for whole."""

import os
import shutil
import time

import pytest

from recurrent_cells.tracking import copies as copies_module
from recurrent_cells.tracking.copies import copies_of
from recurrent_cells.tracking.manifest import local_folder
from recurrent_cells.tracking.queries import best_by_validation, trial_records
from recurrent_cells.tracking.recovery import recover
from recurrent_cells.tracking.repairs import SETTLING, mark_damaged, read_back
from recurrent_cells.tracking.run import trial_run
from recurrent_cells.trial.claim import finished_since

DAMAGES = {
    "missing": lambda path: path.unlink(),
    "empty": lambda path: path.write_text(""),
    "altered": lambda path: path.write_text("something else"),
}


@pytest.fixture
def finished(store, spec):
    """`finished()` is a FINISHED run of three files; its id and the folder of its copies."""

    def made(value: float = 0.9):
        with trial_run(store, spec) as run:
            for name in ("config.yaml", "best.ckpt"):
                (run.artifacts / name).write_text(f"the {name}")
            run.journal.write({"val/best_acc": value}, 1)
        return run.run_id, copies_of(store, run.opened).folder

    return made


def status(store, run_id):
    run = store.client.get_run(run_id)
    return run.info.status, run.data.tags.get("error", "")


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_run_is_known_by_its_record_and_is_neither_best_nor_done(store, finished, damage):
    (_, folder), (intact, _) = finished(0.9), finished(0.8)
    DAMAGES[damage](folder / "best.ckpt")
    damaged, whole = trial_records(store)
    assert (damaged.status, damaged.error) == ("DAMAGED", f"best.ckpt is {damage}")
    assert whole.status == "FINISHED"
    assert best_by_validation([damaged, whole]) is whole
    assert finished_since(store, "abc", 0).run_id == intact
    DAMAGES[damage](local_folder(whole.artifact_uri) / "config.yaml")
    assert finished_since(store, "abc", 0) is None
    assert best_by_validation(trial_records(store)) is None


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_run_is_marked_with_what_is_wrong(store, finished, damage):
    (run_id, folder), (intact, _) = finished(), finished()
    ended = store.client.get_run(run_id).info.end_time
    DAMAGES[damage](folder / "best.ckpt")
    (repair,) = mark_damaged(store)
    words = f"best.ckpt is {damage}: the same command trains it again"
    assert (repair.run_id, repair.was, repair.status, repair.cause) == (run_id, "FINISHED", "FAILED", words)
    assert status(store, run_id) == ("FAILED", words)
    assert store.client.get_run(run_id).info.end_time == ended
    assert status(store, intact)[0] == "FINISHED"
    assert mark_damaged(store) == []


def test_bytes_that_changed_without_the_size_are_found_when_files_are_read(store, finished):
    run_id, folder = finished()
    (folder / "best.ckpt").write_text("the best.ckpT")
    assert mark_damaged(store) == []
    (repair,) = mark_damaged(store, to_the_byte=True)
    assert (repair.run_id, repair.cause) == (run_id, "best.ckpt is altered: the same command trains it again")


def test_of_a_run_of_an_earlier_version_the_checkpoint_is_known(store, run_of):
    bare = run_of("bare", "FINISHED", folder=False)
    run_id = run_of("abc", "FINISHED", folder=False, checkpoint_sha256="0" * 64)
    assert [(repair.run_id, repair.cause.partition(":")[0]) for repair in mark_damaged(store)] == [
        (run_id, "best.ckpt is missing")
    ]
    assert status(store, bare)[0] == "FINISHED"


def test_files_on_the_disk_of_another_machine_are_not_missed(store, finished, monkeypatch):
    run_id, folder = finished()
    shutil.rmtree(folder)
    monkeypatch.setattr(type(store), "is_file", False)
    store.client.set_tag(run_id, "process.host", "elsewhere")
    assert mark_damaged(store, to_the_byte=True) == []
    monkeypatch.undo()
    assert [repair.run_id for repair in mark_damaged(store)] == [run_id]


@pytest.fixture
def cut(store, spec, monkeypatch):
    """A FINISHED run whose process was gone before it removed the originals; its folder and that of the copies."""
    with monkeypatch.context() as killed:
        killed.setattr("recurrent_cells.tracking.run.clear", lambda *_: None)
        with trial_run(store, spec) as run:
            for name in ("config.yaml", "best.ckpt"):
                (run.artifacts / name).write_text(f"the {name}")
    return run.folder, copies_of(store, run.opened).folder


@pytest.mark.parametrize("outcome_is_left", [True, False])
def test_copies_that_a_power_failure_emptied_are_brought_again_from_the_originals(store, cut, outcome_is_left):
    folder, copies = cut
    for path in copies.iterdir():
        path.write_text("")
    if not outcome_is_left:
        (folder / "outcome.json").unlink()
    (repair,) = recover(store)
    assert (repair.was, repair.status) == ("FINISHED", "FINISHED")
    assert repair.cause == "best.ckpt was empty, config.yaml was empty: brought again"
    assert (copies / "best.ckpt").read_text() == "the best.ckpt"
    assert not folder.exists()
    assert [record.status for record in trial_records(store)] == ["FINISHED"]


def test_a_run_of_which_no_whole_copy_is_left_is_marked(store, cut):
    folder, copies = cut
    for path in (copies / "best.ckpt", folder / "artifacts" / "best.ckpt"):
        path.write_text("")
    assert [(repair.was, repair.status) for repair in recover(store)] == [("FINISHED", "FAILED")]
    (record,) = trial_records(store)
    assert (record.status, record.error) == ("FAILED", "best.ckpt is empty: the same command trains it again")
    assert not folder.exists()


@pytest.fixture
def served(store, spec, monkeypatch):
    """A run whose files a server keeps, delivered long ago; its folder and where the server has them."""
    with monkeypatch.context() as patch:
        patch.setattr(copies_module.manifest, "local_folder", lambda uri: None)
        with trial_run(store, spec) as run:
            (run.artifacts / "best.ckpt").write_text("the best.ckpt")
            (run.artifacts / "model").mkdir()
            (run.artifacts / "model" / "MLmodel").write_text("the model")
        folder = local_folder(run.opened.info.artifact_uri)
        (unread,) = [path for path in run.folder.iterdir() if path.suffix == ".json"]
        age(unread)
        yield run.folder, folder


def age(path):
    then = time.time() - SETTLING - 1
    os.utime(path, (then, then))


def test_originals_go_when_the_copies_of_a_server_have_been_read_back(store, served):
    folder, _ = served
    assert recover(store) == []
    assert folder.exists()
    assert read_back(store, seconds=-1) == []
    assert folder.exists()
    assert read_back(store) == []
    assert not folder.exists()


def test_originals_wait_for_what_was_just_given_to_the_server(store, served):
    folder, _ = served
    (unread,) = [path for path in folder.iterdir() if path.suffix == ".json"]
    unread.touch()
    assert read_back(store) == []
    assert folder.exists()


def test_what_a_server_lost_is_brought_again_and_read_again_later(store, served):
    folder, copies = served
    (copies / "best.ckpt").write_text("")
    shutil.rmtree(copies / "model")
    (repair,) = read_back(store)
    assert repair.cause == "best.ckpt was empty, model/MLmodel was missing: brought again"
    assert (copies / "model" / "MLmodel").read_text() == "the model"
    assert folder.exists()
    for path in folder.iterdir():
        age(path)
    assert read_back(store) == []
    assert not folder.exists()


def test_a_server_that_is_away_costs_no_originals(store, served, monkeypatch):
    folder, _ = served

    def away(*_):
        raise OSError("away")

    monkeypatch.setattr(store.client, "list_artifacts", away)
    assert read_back(store) == []
    assert folder.exists()


def test_originals_of_a_run_that_was_deleted_go(store, served):
    folder, _ = served
    store.client.delete_run(folder.name)
    assert read_back(store) == []
    assert not folder.exists()
