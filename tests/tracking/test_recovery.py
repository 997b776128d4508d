"""Runs that say something untrue are told from living ones and repaired."""

import json
import time
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
from mlflow.exceptions import MlflowException

from recurrent_cells.errors import DeliveryError, TrialBusy
from recurrent_cells.tracking import liveness, recovery
from recurrent_cells.tracking.liveness import SILENCE
from recurrent_cells.tracking.locks import trial_lock
from recurrent_cells.tracking.queries import search
from recurrent_cells.tracking.recovery import at_work, deliver_kept, mark_attempt_killed, recover, take_end
from recurrent_cells.tracking.run import trial_run
from recurrent_cells.tracking.status import beat
from recurrent_cells.tracking.store import Store, open_store


def status(store: Store, run_id: str) -> str:
    return store.client.get_run(run_id).info.status


def test_a_run_whose_process_is_gone_is_killed_with_the_cause(store, run_of):
    run_id = run_of("abc", process_start="1")
    (repair,) = recover(store)
    assert (repair.run_id, repair.name, repair.was, repair.status) == (run_id, "trial-abc", "RUNNING", "KILLED")
    run = store.client.get_run(run_id)
    assert run.info.status == "KILLED"
    assert "is gone (killed, or the power failed)" in run.data.tags["error"] == repair.cause
    assert run.info.end_time is not None
    assert store.trial_folder(run_id).exists()
    assert recover(store) == []


def test_a_run_from_before_a_restart_is_killed(store, run_of):
    run_id = run_of("abc", process_boot="another")
    assert [repair.run_id for repair in recover(store)] == [run_id]
    assert "was restarted" in store.client.get_run(run_id).data.tags["error"]


def test_a_run_of_another_machine_is_killed_when_its_heart_is_seen_to_stand_still(store, run_of, monkeypatch):
    now = 1000.0
    monkeypatch.setattr(liveness, "time", SimpleNamespace(monotonic=lambda: now))
    beating, silent = (run_of(name, process_host="elsewhere", process_boot="another") for name in ("abc", "def"))
    assert recover(store) == [], "whatever its clock says"
    now += SILENCE / 2
    store.client.set_tag(beating, "process.heartbeat", "12 o'clock")
    assert at_work(store) == {"abc", "def"}
    now += SILENCE / 2
    assert [repair.run_id for repair in recover(store)] == [silent]
    assert (status(store, beating), status(store, silent)) == ("RUNNING", "KILLED")
    assert f"has not changed for {SILENCE:.0f} s" in store.client.get_run(silent).data.tags["error"]
    assert [path.name for path in (store.folder / "heartbeats").glob("*/*")] == [beating]


@pytest.mark.parametrize("hours", [-1, 1])
def test_a_living_run_of_another_machine_lives_whatever_the_clocks_say(store, run_of, monkeypatch, hours):
    run_of("abc", process_host="elsewhere", process_boot="another")
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + 3600 * hours)
    assert recover(store) == []
    assert at_work(store) == {"abc"}


def test_a_dead_run_of_this_machine_is_killed_at_once_whatever_the_machine_was_called(store, run_of):
    run_id = run_of("abc", process_host="its old name", process_start="1")
    assert [repair.run_id for repair in recover(store)] == [run_id]


@pytest.mark.parametrize("tag", ["process.pid", "process.heartbeat", "process.start", "process.host", "process.boot"])
@pytest.mark.parametrize("host", ["here", "elsewhere"])
def test_a_tag_edited_by_hand_breaks_no_start(store, run_of, tag, host):
    run_id = run_of("abc", **({} if host == "here" else {"process_host": host, "process_boot": "another"}))
    store.client.set_tag(run_id, tag, "rubbish ²")
    recover(store)
    store.client.delete_tag(run_id, tag)
    recover(store)
    at_work(store)


def test_the_living_and_the_strangers_are_left_alone(store, run_of):
    living = run_of("abc")
    stranger = store.client.create_run(store.experiment_id).info.run_id
    assert recover(store) == []
    assert (status(store, living), status(store, stranger)) == ("RUNNING", "RUNNING")
    assert len(list(search(store))) == 2


@pytest.fixture
def ended(store, run_of):
    """Make a run whose end lies on disk."""

    def made(outcome: str = "FINISHED", was: str = "RUNNING", **tags: str) -> str:
        run_id = run_of("abc", was)
        folder = store.trial_folder(run_id)
        (folder / "artifacts" / "config.yaml").write_text("seed: 0")
        point = {"key": "loss", "value": 1.0, "step": 1, "timestamp": 1}
        (folder / "journal.jsonl").write_text(json.dumps(point) + "\n")
        (folder / "outcome.json").write_text(json.dumps({"status": outcome, "tags": tags, "end_time": 1234567890123}))
        return run_id

    return made


@pytest.mark.parametrize("outcome", ["FINISHED", "FAILED"])
def test_an_end_kept_on_disk_is_delivered(store, ended, outcome):
    run_id = ended(outcome, seconds="2.5")
    (repair,) = recover(store)
    assert (repair.run_id, repair.was, repair.status, repair.cause) == (
        *(run_id, "RUNNING", outcome),
        "its end was delivered",
    )
    run = store.client.get_run(run_id)
    assert (run.info.status, run.info.end_time) == (outcome, 1234567890123)
    assert run.data.metrics == {"loss": 1.0}
    assert run.data.tags["seconds"] == "2.5"
    assert [file.path for file in store.client.list_artifacts(run_id)] == ["config.yaml"]
    assert not store.trial_folder(run_id).exists()
    assert recover(store) == []


def test_the_end_of_a_killed_run_is_delivered_and_its_files_stay(store, ended):
    run_id = ended("KILLED", error="SIGTERM")
    assert [repair.status for repair in recover(store)] == ["KILLED"]
    assert sorted(path.name for path in store.trial_folder(run_id).iterdir()) == [
        *("artifacts", "delivered", "journal.jsonl")
    ]
    assert recover(store) == []


def test_a_run_taken_for_dead_gets_its_true_end(store, ended):
    run_id = ended("FINISHED", was="KILLED")
    store.client.set_tag(run_id, "error", "no sign of life")
    assert [(repair.was, repair.status) for repair in recover(store)] == [("KILLED", "FINISHED")]
    assert status(store, run_id) == "FINISHED"
    assert "error" not in store.client.get_run(run_id).data.tags


def test_an_end_that_its_own_process_delivers_is_left_to_it(store, ended):
    run_id = ended()
    with trial_lock(store, "abc"):
        assert recover(store) == []
    assert status(store, run_id) == "RUNNING"
    assert store.trial_folder(run_id).exists()


def test_what_cannot_be_delivered_is_kept_and_named(store, ended, caplog):
    folder = store.trial_folder(ended())
    (folder / "outcome.json").write_text("{")
    delivered, (kept,) = deliver_kept(store)
    assert delivered == []
    assert kept.folder == folder
    assert kept.cause
    assert recover(store) == []
    assert f"kept in {folder}" in caplog.text
    assert (folder / "outcome.json").exists()


@pytest.mark.parametrize("now", ["KILLED", "RUNNING"])
def test_an_end_that_its_own_process_delivers_meanwhile_leaves_the_state_to_go_on_from(store, ended, monkeypatch, now):
    run_id = ended("KILLED", was="RUNNING")
    folder = store.trial_folder(run_id)
    (folder / "state.ckpt").write_text("state")

    @contextmanager
    def delivered_before_the_lock_is_ours(_, run):
        (folder / "outcome.json").unlink()
        if now == "KILLED":
            store.client.set_terminated(run_id, "KILLED")
        yield store.client.get_run(run_id)

    monkeypatch.setattr(recovery, "held", delivered_before_the_lock_is_ours)
    assert deliver_kept(store) == ([], [])
    assert (folder / "state.ckpt").read_text() == "state"


def test_the_end_of_a_run_that_was_deleted_is_dropped(store, ended):
    run_id = ended()
    store.client.delete_run(run_id)
    assert deliver_kept(store) == ([], [])
    assert not store.trial_folder(run_id).exists()


def test_folders_left_by_a_process_that_died_at_the_very_end_are_removed(store, run_of, ended):
    delivered = ended(was="FINISHED")
    store.client.log_artifacts(delivered, str(store.trial_folder(delivered) / "artifacts"))
    removed = [run_of("one", "FINISHED"), run_of("two", "FAILED"), delivered]
    stay = [run_of("three", "KILLED"), run_of("four")]
    assert recover(store) == []
    left = {folder.name for folder in (store.folder / "trials").iterdir()}
    assert left == set(stay)
    assert not left & set(removed)


@pytest.mark.parametrize("file", ["config.yaml", "best.ckpt"])
def test_an_end_whose_files_a_power_failure_took_is_none(store, spec, monkeypatch, file):
    """The trial goes on from its last checkpoint."""
    with monkeypatch.context() as killed:
        killed.setattr("recurrent_cells.tracking.run._deliver", lambda *_: None)
        with trial_run(store, spec) as run:
            for name in ("config.yaml", "best.ckpt"):
                (run.artifacts / name).write_text(f"the {name}")
            run.state_file.write_text("state")
    store.client.set_tag(run.run_id, "process.start", "1")
    (run.artifacts / file).write_text("")
    assert [repair.status for repair in recover(store)] == ["KILLED"]
    with trial_run(store, spec) as again:
        assert (again.run_id, again.state_file.read_text()) == (run.run_id, "state")
    assert status(store, run.run_id) == "FINISHED"


@pytest.mark.parametrize("was", ["RUNNING", "FINISHED", "KILLED"])
def test_the_end_of_a_trial_whose_process_could_not_tell_of_it_is_taken_once(store, ended, run_of, was):
    gone, run_id = run_of("gone", process_start="1"), ended(was=was)
    record = take_end(store, "abc")
    assert record is not None
    assert (record.run_id, record.status) == (run_id, "FINISHED")
    assert not store.trial_folder(run_id).exists()
    assert status(store, gone) == "KILLED"
    assert take_end(store, "abc") is None


def test_the_last_files_of_a_finished_trial_are_as_good_as_its_end(store, run_of):
    run_id = run_of("abc", "FINISHED")
    (store.trial_folder(run_id) / "artifacts").rmdir()
    record = take_end(store, "abc")
    assert record is not None
    assert record.run_id == run_id


@pytest.mark.parametrize("outcome", ["FAILED", "KILLED"])
def test_no_other_end_is_taken(store, ended, outcome):
    run_id = ended(outcome, was="RUNNING")
    elsewhere = open_store("elsewhere", patience=0)
    assert take_end(elsewhere, "abc") is None
    assert take_end(store, "another") is None
    assert take_end(store, "abc") is None
    assert status(store, run_id) == outcome


def test_an_end_that_the_store_does_not_take_is_not_trained_over(store, ended, monkeypatch):
    def away(*_, **__):
        raise MlflowException("the server went away")

    run_id = ended()
    with monkeypatch.context() as patch:
        patch.setattr(store.client, "set_terminated", away)
        with pytest.raises(DeliveryError, match=r"does not take the end of run trial-abc \(the server went away\)"):
            take_end(store, "abc")
    assert take_end(store, "abc") is not None
    assert status(store, run_id) == "FINISHED"


def test_an_end_that_another_process_delivers_makes_the_trial_busy(store, ended):
    ended()
    with trial_lock(store, "abc"), pytest.raises(TrialBusy):
        take_end(store, "abc")


def test_what_other_processes_work_on_is_under_way(store, run_of):
    run_of("elsewhere", process_host="elsewhere", process_boot="another")
    run_of("gone", process_start="1")
    run_of("own")
    run_of("ended", status="FINISHED", process_host="elsewhere", process_boot="another")
    assert at_work(store) == {"elsewhere"}


def test_a_launcher_knows_the_run_of_an_attempt_that_it_saw_die(store, run_of):
    dead = run_of("abc", process_host="elsewhere", process_attempt="first")
    other = run_of("def", process_host="elsewhere", process_attempt="second")
    mark_attempt_killed(store, "first", "its node died")
    assert (status(store, dead), status(store, other)) == ("KILLED", "RUNNING")
    assert store.client.get_run(dead).data.tags["error"] == "its node died"


def test_a_beat_keeps_a_run_that_waits_in_a_queue_elsewhere(store, run_of):
    waiting = run_of("abc", process_host="elsewhere", process_heartbeat="0")
    beat(store, [waiting])
    assert recover(store) == []
    assert status(store, waiting) == "RUNNING"


def test_silence_on_this_host_is_no_death(store, run_of):
    run_of("abc", process_heartbeat="0")
    assert recover(store) == []
