"""A run says FINISHED when what that stands on is on the disk, and its originals go after that."""

import os
import shutil
import sqlite3
from pathlib import Path

import pytest

from recurrent_cells.errors import DeliveryError
from recurrent_cells.tracking import copies as copies_module
from recurrent_cells.tracking import delivery, manifest
from recurrent_cells.tracking.copies import Copies, copies_of
from recurrent_cells.tracking.recovery import recover
from recurrent_cells.tracking.run import trial_run


def write_results(run, names=("config.yaml", "best.ckpt", "model/MLmodel")):
    for name in names:
        path = run.artifacts / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"the {name}")


@pytest.fixture
def events(store, monkeypatch) -> list[str]:
    """What was synced, said and removed, in order, by the names of files."""
    seen: list[str] = []
    fsync, rmtree, terminated = os.fsync, shutil.rmtree, store.client.set_terminated

    def synced(descriptor):
        seen.append(f"sync {os.readlink(f'/proc/self/fd/{descriptor}')}")  # noqa: PTH115
        fsync(descriptor)

    def removed(path, *arguments, **named):
        seen.append(f"remove {path}")
        rmtree(path, *arguments, **named)

    def ended(run_id, status, **named):
        seen.append(status)
        terminated(run_id, status=status, **named)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(shutil, "rmtree", removed)
    monkeypatch.setattr(store.client, "set_terminated", ended)
    return seen


def test_copies_and_their_folders_are_synced_before_finished_and_originals_go_after(store, spec, events):
    with trial_run(store, spec) as run:
        write_results(run)
        events.clear()
    folder = copies_of(store, run.opened).folder
    said = events.index("FINISHED")
    names = ["config.yaml", "best.ckpt", "train.log", "model/MLmodel", "model"]
    paths = [folder, *folder.parents[:2], store.folder, *(folder / name for name in names)]
    assert {f"sync {path}" for path in paths} <= set(events[:said])
    assert events.index(f"remove {run.folder}") > said
    assert not run.folder.exists()


def test_every_commit_to_a_local_store_is_on_the_disk(store):
    engine = store.client._tracking_client.store.engine
    with engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2
    assert sqlite3.connect(store.folder / "mlflow.db").execute("PRAGMA journal_mode").fetchone() == ("wal",)


@pytest.mark.parametrize("damage", ["cut", "empty", "missing", "other bytes"])
def test_a_run_is_not_finished_by_copies_that_differ_and_its_originals_stay(store, spec, monkeypatch, damage):
    def bring(self, originals):
        bring_whole(self, originals)
        copy = self.folder / "best.ckpt"
        content = copy.read_bytes()
        changed = {"cut": content[:-1], "empty": b"", "other bytes": content[::-1]}
        copy.write_bytes(changed[damage]) if damage in changed else copy.unlink()

    bring_whole = Copies.bring
    monkeypatch.setattr(Copies, "bring", bring)
    with pytest.raises(DeliveryError, match=r"not what the trial wrote: best\.ckpt is"), trial_run(store, spec) as run:
        write_results(run)
    assert store.client.get_run(run.run_id).info.status == "RUNNING"
    assert (run.artifacts / "best.ckpt").read_text() == "the best.ckpt"
    monkeypatch.undo()
    assert [repair.status for repair in recover(store)] == ["FINISHED"]
    assert copies_of(store, run.opened).folder.joinpath("best.ckpt").read_text() == "the best.ckpt"
    assert not run.folder.exists()


def test_a_disk_that_takes_no_copies_for_a_while_costs_nothing(store, spec, monkeypatch):
    store.patience, faults = 10, [OSError(28, "No space left on device")] * 2
    bring = Copies.bring

    def failing(self, originals):
        if faults:
            raise faults.pop()
        bring(self, originals)

    monkeypatch.setattr(Copies, "bring", failing)
    with trial_run(store, spec) as run:
        write_results(run)
    assert store.client.get_run(run.run_id).info.status == "FINISHED"
    assert not run.folder.exists()


def test_a_finished_run_knows_the_sizes_and_digests_of_its_files(store, spec):
    with trial_run(store, spec) as run:
        write_results(run)
    ended = store.client.get_run(run.run_id)
    known = manifest.of_tags(ended.data.tags)
    assert known.keys() == {"config.yaml", "best.ckpt", "model/MLmodel", "train.log"}
    assert known == manifest.describe(copies_of(store, ended).folder)


def test_files_that_a_run_gets_later_are_a_part_of_what_it_stands_on(store, spec, tmp_path):
    with trial_run(store, spec) as run:
        write_results(run, ["config.yaml"])
    (tmp_path / "more" / "model").mkdir(parents=True)
    (tmp_path / "more" / "model" / "MLmodel").write_text("made for the champion")
    delivery.add_files(store, run.run_id, tmp_path / "more")
    ended = store.client.get_run(run.run_id)
    assert manifest.of_tags(ended.data.tags).keys() == {"config.yaml", "train.log", "model/MLmodel"}
    assert copies_of(store, ended).faults(manifest.of_tags(ended.data.tags)) == {}


@pytest.fixture
def served(monkeypatch) -> None:
    """Have the store's files be asked of MLflow, as if a server kept them."""
    monkeypatch.setattr(copies_module.manifest, "local_folder", lambda uri: None)


def test_with_a_server_sizes_are_listed_back_and_originals_stay(served, store, spec, events):
    with trial_run(store, spec) as run:
        write_results(run)
        run.state_file.write_text("state")
        events.clear()
    assert store.client.get_run(run.run_id).info.status == "FINISHED"
    originals = [run.artifacts, *(run.artifacts / name for name in ("best.ckpt", "model", "model/MLmodel"))]
    assert {f"sync {path}" for path in originals} <= set(events[: events.index("FINISHED")])
    assert (run.artifacts / "best.ckpt").read_text() == "the best.ckpt"
    assert not run.state_file.exists()
    assert recover(store) == []
    assert run.folder.exists()


def test_what_a_server_lists_short_is_not_finished(served, store, spec, monkeypatch):
    def bring(self, originals):
        self.store.client.log_artifacts(self.run_id, str(originals))
        Path(store.client.get_run(self.run_id).info.artifact_uri.removeprefix("file://"), "best.ckpt").write_text("")

    monkeypatch.setattr(Copies, "bring", bring)
    with pytest.raises(DeliveryError, match=r"best\.ckpt is empty"), trial_run(store, spec) as run:
        write_results(run)
    assert store.client.get_run(run.run_id).info.status == "RUNNING"
