"""A run's status is what became of its trial, and the same run is continued."""

import errno
import logging
import os
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import replace
from math import inf
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from mlflow.exceptions import MlflowException

from recurrent_cells.errors import DeliveryError, Interrupted, Skipped, SweepOver, TrialBusy, TrialError
from recurrent_cells.tracking import journal, liveness, patience, steering
from recurrent_cells.tracking.opening import flat
from recurrent_cells.tracking.queries import search, trial_records
from recurrent_cells.tracking.recovery import recover
from recurrent_cells.tracking.run import trial_run
from recurrent_cells.tracking.steering import ask_to_skip, ask_to_stop, set_limits
from recurrent_cells.tracking.store import Store, open_store
from tests.support import within


@pytest.fixture(autouse=True)
def hasty(monkeypatch):
    monkeypatch.setattr(patience, "FIRST_WAIT", 0.001)


def only_run(store: Store):
    (run,) = search(store)
    return run


def points(store: Store, key: str = "loss") -> list[tuple[int, float]]:
    history = store.client.get_metric_history(only_run(store).info.run_id, key)
    return [(point.step, point.value) for point in history]


@contextmanager
def ending_with(error: BaseException) -> Iterator[None]:
    """The body raises this very error."""
    with pytest.raises(type(error)) as caught:
        yield
    assert caught.value is error


@contextmanager
def ending_in_delivery_error() -> Iterator[list[str]]:
    """The lines of the DeliveryError that the body raises."""
    said: list[str] = []
    with pytest.raises(DeliveryError) as caught:
        yield said
    said += str(caught.value).splitlines()


def test_a_run_that_ends_well_is_finished_and_leaves_no_folder(store, spec):
    with trial_run(store, spec) as run:
        assert only_run(store).info.status == "RUNNING"
        run.journal.write({"loss": 1.0}, 1)
        run.keep(lambda: (run.artifacts / "config.yaml").write_text("seed: 0"))
        run.tags["seconds"] = "1.0"
    ended = only_run(store)
    assert (ended.info.status, ended.info.run_name) == ("FINISHED", "gru-h8x1-s0")
    assert points(store) == [(1, 1.0)]
    assert ended.data.params == {"seed": "0"}
    assert ended.data.tags.items() >= {"fingerprint": "abc", "cell": "gru", "seconds": "1.0"}.items()
    assert "error" not in ended.data.tags
    assert {file.path for file in store.client.list_artifacts(run.run_id)} == {"config.yaml", "train.log"}
    assert not run.folder.exists()


@pytest.mark.parametrize(
    ("error", "tag"),
    [
        (TrialError("the loss is nan"), "the loss is nan"),
        (ZeroDivisionError("division by zero"), "ZeroDivisionError: division by zero"),
        (SystemExit(3), "SystemExit: 3"),
    ],
)
def test_an_error_fails_the_run_and_is_its_tag(store, spec, error, tag):
    with ending_with(error), trial_run(store, spec) as run:
        run.journal.write({"loss": 1.0}, 1)
        raise error
    ended = only_run(store)
    assert (ended.info.status, ended.data.tags["error"]) == ("FAILED", tag)
    assert points(store) == [(1, 1.0)]
    log = store.client.download_artifacts(run.run_id, "train.log")
    with open(log) as file:  # noqa: PTH123
        assert "Traceback" in file.read()
    assert not run.folder.exists()


@pytest.mark.parametrize(
    ("signal_raised", "tag"), [(Interrupted(signal.SIGTERM), "SIGTERM"), (KeyboardInterrupt(), "interrupted")]
)
def test_an_interrupted_run_is_killed_and_its_files_stay(store, spec, signal_raised, tag):
    with ending_with(signal_raised), trial_run(store, spec) as run:
        run.state_file.write_text("state")
        raise signal_raised
    ended = only_run(store)
    assert (ended.info.status, ended.data.tags["error"]) == ("KILLED", tag)
    assert run.state_file.exists()
    assert not (run.folder / "outcome.json").exists()


def test_a_killed_run_is_continued_without_its_error(store, spec):
    interruption = Interrupted(signal.SIGINT)
    with ending_with(interruption), trial_run(store, spec) as first:
        first.journal.write({"loss": 1.0}, 1)
        first.state_file.write_text("state")
        raise interruption
    (first.artifacts / "best.ckptx8s").write_text("half a file")
    (first.artifacts / "model").mkdir()
    (first.artifacts / "model" / "MLmodel").write_text("half a model")
    with trial_run(store, spec) as second:
        assert second.run_id == first.run_id
        assert second.state_file.read_text() == "state"
        assert only_run(store).info.status == "RUNNING"
        second.journal.write({"loss": 1.0}, 1)
        second.journal.write({"loss": 0.5}, 2)
    ended = only_run(store)
    assert ended.info.status == "FINISHED"
    assert "error" not in ended.data.tags
    assert points(store) == [(1, 1.0), (2, 0.5)]
    assert [file.path for file in store.client.list_artifacts(ended.info.run_id)] == ["train.log"]


def test_a_finished_or_failed_run_is_not_continued(store, spec):
    with trial_run(store, spec) as first:
        pass
    with pytest.raises(TrialError), trial_run(store, spec) as second:
        raise TrialError("broken")
    with trial_run(store, spec) as third:
        pass
    assert len({first.run_id, second.run_id, third.run_id}) == 3


def test_a_killed_run_whose_files_are_elsewhere_is_not_continued(store, spec, run_of):
    elsewhere = run_of("abc", "KILLED", folder=False, process_host="elsewhere")
    gone = run_of("abc", "KILLED", folder=False)
    store.client.log_metric(gone, "loss", 1.0)
    with trial_run(store, spec) as run:
        assert run.run_id not in (elsewhere, gone)


def test_a_run_killed_before_it_had_files_is_continued(store, spec, run_of):
    known = run_of("abc", "KILLED", folder=False)
    with trial_run(store, spec) as run:
        assert run.run_id == known
    assert only_run(store).info.status == "FINISHED"


def test_a_trial_is_trained_by_one_process_at_a_time(store, spec):
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        with trial_run(store, spec):
            os.write(writer, b"x")
            signal.pause()
    assert os.read(reader, 1) == b"x"
    with pytest.raises(TrialBusy, match="abc is being trained by another process"), trial_run(store, spec):
        pass
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    assert [repair.status for repair in recover(store)] == ["KILLED"]
    with trial_run(store, spec):
        pass
    assert only_run(store).info.status == "FINISHED"
    os.close(reader)
    os.close(writer)


def test_a_trial_that_another_host_trains_is_busy(store, spec, run_of, monkeypatch):
    run_id = run_of("abc", process_host="elsewhere", process_boot="another")
    with pytest.raises(TrialBusy, match="being trained on elsewhere"), trial_run(store, spec):
        pass
    monkeypatch.setattr(liveness, "SILENCE", 0.0)
    assert [repair.run_id for repair in recover(store)] == [run_id]


def failing(method, times: int, after: bool):
    """A method of the client that fails so often, before or after it has done its work."""
    left = [times]

    def call(*arguments: object, **named: object):
        left[0] -= 1
        if left[0] >= 0:
            if after:
                method(*arguments, **named)
            raise MlflowException("the server went away")
        return method(*arguments, **named)

    return call


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("method", ["create_run", "log_batch", "set_terminated", "log_artifacts"])
def test_a_store_away_for_a_while_costs_nothing(store, spec, monkeypatch, method, after):
    store.patience = 10
    monkeypatch.setattr(store.client, method, failing(getattr(store.client, method), 3, after))
    with trial_run(store, spec) as run:
        for step in (1, 2):
            run.journal.write({"loss": float(step)}, step)
    assert only_run(store).info.status == "FINISHED"
    assert points(store) == [(1, 1.0), (2, 2.0)]
    assert not run.folder.exists()


def test_a_store_away_at_the_start_is_a_short_message(store, spec, monkeypatch):
    monkeypatch.setattr(store.client, "create_run", failing(None, 10**9, after=False))
    with ending_in_delivery_error() as said, trial_run(store, spec):
        pass
    assert said == [
        "the tracking store does not take the start of run gru-h8x1-s0 (the server went away);",
        "once it does the same command goes on",
    ]


@contextmanager
def away_from_now_on(store: Store) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as away:
        for method in ("log_batch", "log_artifacts", "set_terminated", "set_tag", "get_run"):
            away.setattr(store.client, method, failing(None, 10**9, after=False))
        yield


def test_a_run_that_is_deleted_while_it_trains_leaves_nothing(store, spec):
    with ending_in_delivery_error() as said, trial_run(store, spec) as run:
        run.journal.write({"loss": 1.0}, 1)
        store.client.delete_run(run.run_id)
    assert said[0].startswith("run gru-h8x1-s0 was deleted from the store while it trained")
    assert not run.folder.exists()
    assert recover(store) == []
    with trial_run(store, spec):
        pass
    assert only_run(store).info.status == "FINISHED"


def test_a_store_that_stays_away_gets_the_end_at_the_next_start(store, spec):
    with ExitStack() as stack, ending_in_delivery_error() as said, trial_run(store, spec) as run:
        stack.enter_context(away_from_now_on(store))
        run.journal.write({"loss": 1.0}, 1)
    assert said == [
        "the tracking store does not take the end of run gru-h8x1-s0 (the server went away);",
        f"it is kept in {run.folder} and delivered at the next start of anything",
    ]
    assert only_run(store).info.status == "RUNNING"
    (repair,) = recover(store)
    assert (repair.run_id, repair.status) == (run.run_id, "FINISHED")
    assert only_run(store).info.status == "FINISHED"
    assert points(store) == [(1, 1.0)]
    assert not run.folder.exists()


@pytest.mark.parametrize(
    ("error", "status"), [(TrialError("broken"), "FAILED"), (Interrupted(signal.SIGINT), "KILLED")]
)
def test_the_trials_own_error_goes_before_that_of_the_store(store, spec, caplog, error, status):
    with ExitStack() as stack, ending_with(error), trial_run(store, spec) as run:
        stack.enter_context(away_from_now_on(store))
        raise error
    assert "the tracking store does not take the end of run gru-h8x1-s0" in caplog.text
    assert [(repair.run_id, repair.status) for repair in recover(store)] == [(run.run_id, status)]
    assert only_run(store).info.status == status


def no_room(*_: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_checkpoint_without_room_is_a_warning_and_the_last_one_stays(store, spec, caplog):
    with trial_run(store, spec) as run:
        run.checkpoint(lambda path: path.write_text("first"))
        run.checkpoint(no_room)
        run.checkpoint(no_room)
        assert run.state_file.read_text() == "first"
        assert caplog.text.count("no checkpoint can be written (No space left on device)") == 1
        run.checkpoint(lambda path: path.write_text("second"))
        assert run.state_file.read_text() == "second"
    assert only_run(store).info.status == "FINISHED"


def test_a_checkpoint_never_knows_of_points_that_are_not_on_disk(store, spec, disk):
    with trial_run(store, spec) as run:
        disk.room = 0
        run.journal.write({"loss": 1.0}, 1)
        run.checkpoint(lambda path: path.write_text("state"))
        assert not run.state_file.exists()
        disk.room = None
    assert points(store) == [(1, 1.0)]


def test_a_disk_full_to_the_end_leaves_a_run_to_go_on_with(store, spec, disk):
    with ending_in_delivery_error() as said, trial_run(store, spec) as run:
        run.checkpoint(lambda path: path.write_text("state"))
        disk.room = 0
        run.journal.write({"loss": 1.0}, 1)
    disk.room = None
    assert said == [
        f"{run.folder}: files of run gru-h8x1-s0 cannot be written (No space left on device);",
        "make room there, and the same command goes on from the last checkpoint",
    ]
    assert only_run(store).info.status == "KILLED"
    with trial_run(store, spec) as again:
        assert again.run_id == run.run_id
        assert again.state_file.read_text() == "state"
        again.journal.write({"loss": 1.0}, 1)
    assert only_run(store).info.status == "FINISHED"
    assert points(store) == [(1, 1.0)]


def test_results_without_room_are_waited_for(store, spec):
    store.patience = 10
    rooms = [no_room, no_room, lambda: None]
    with trial_run(store, spec) as run:
        run.keep(lambda: rooms.pop(0)())
    assert rooms == []
    assert only_run(store).info.status == "FINISHED"


def test_a_log_that_cannot_be_opened_at_once_is_waited_for(store, spec, monkeypatch):
    store.patience, rooms, opened = 10, [no_room, no_room, lambda: None], os.open

    def open_log(path: os.PathLike[str], *arguments: Any, **named: Any) -> int:
        if Path(path).name == "train.log" and rooms:
            rooms.pop(0)()
        return opened(path, *arguments, **named)

    monkeypatch.setattr(os, "open", open_log)
    with trial_run(store, spec):
        pass
    assert rooms == []
    assert only_run(store).info.status == "FINISHED"


def test_results_that_find_no_room_kill_the_run_but_do_not_fail_it(store, spec):
    with pytest.raises(DeliveryError, match="make room there"), trial_run(store, spec) as run:
        run.keep(no_room)
    assert only_run(store).info.status == "KILLED"
    assert run.folder.exists()


def test_a_trial_in_a_sweep_is_below_its_parent_and_beats_for_it(store, spec, monkeypatch):
    monkeypatch.setattr(journal, "SECONDS_BETWEEN_DELIVERIES", 0.01)
    monkeypatch.setattr(journal, "SECONDS_BETWEEN_BEATS", -1.0)
    parent = store.client.create_run(store.experiment_id).info.run_id
    with trial_run(store, replace(spec, parent=parent)) as run:
        within(10, lambda: "process.heartbeat" in store.client.get_run(parent).data.tags)
    assert store.client.get_run(run.run_id).data.tags["mlflow.parentRunId"] == parent


def test_a_trial_that_its_sweep_leaves_out_or_starts_no_more_has_no_run(store, spec):
    parent = store.client.create_run(store.experiment_id).info.run_id
    trial = replace(spec, parent=parent)
    ask_to_skip(store, parent, spec.fingerprint, "not now")
    with pytest.raises(Skipped, match="skipped: not now"), trial_run(store, trial):
        pass
    with trial_run(store, replace(trial, fingerprint="another", name="another")):
        pass
    ask_to_stop(store, parent, "lunch")
    with pytest.raises(SweepOver, match="stopped: lunch"), trial_run(store, replace(trial, fingerprint="a third")):
        pass
    assert len(trial_records(store)) == 1


@pytest.mark.parametrize(("failed", "begins"), [(1, True), (2, False)])
def test_no_trial_begins_once_so_many_of_its_sweep_have_failed(store, spec, failed, begins):
    parent = store.client.create_run(store.experiment_id).info.run_id

    def fail(name: str) -> None:
        run = store.client.create_run(store.experiment_id, tags={"sweep": parent, "fingerprint": name})
        store.client.set_terminated(run.info.run_id, "FAILED")

    fail("before")
    set_limits(store, parent, None, 2)
    for place in range(failed):
        fail(str(place))
    refused = pytest.raises(SweepOver, match="so many trials have failed")
    with nullcontext() if begins else refused, trial_run(store, replace(spec, parent=parent)):
        pass
    assert any(record.fingerprint == spec.fingerprint for record in trial_records(store)) == begins


def test_a_trial_that_trains_when_the_budget_of_its_sweep_is_used_is_to_save_and_end(store, spec, monkeypatch):
    monkeypatch.setattr(journal, "SECONDS_BETWEEN_LOOKS", 0.05)
    parent = store.client.create_run(store.experiment_id).info.run_id
    set_limits(store, parent, time.time() + 3600, None)
    asked = SweepOver("sweep.budget is used")
    with ending_with(asked), trial_run(store, replace(spec, parent=parent)) as run:
        monkeypatch.setattr(steering, "time", SimpleNamespace(time=lambda: inf))
        within(20, lambda: isinstance(run.stop, SweepOver))
        raise asked
    (record,) = trial_records(store)
    assert (record.status, record.error, record.stopped) == ("KILLED", "sweep.budget is used", False)


def test_a_log_line_for_one_run_is_in_no_other(store, spec):
    courier = journal.Courier(store)
    other = replace(spec, fingerprint="other")
    with trial_run(store, spec, courier) as run, trial_run(store, other, courier) as neighbour:
        logging.getLogger("src").warning("for one", extra={"run_id": run.run_id})
        logging.getLogger("src").warning("for all")
        own, others = run.log_file.read_text(), neighbour.log_file.read_text()
    assert "for one" in own
    assert "for one" not in others
    assert "for all" in own
    assert "for all" in others


def test_a_config_is_flat_for_mlflow():
    assert flat({"a": {"b": {"c": 1}, "d": None}, "e": [1, 2]}) == {"a.b.c": "1", "a.d": "None", "e": "[1, 2]"}


@pytest.fixture
def shared(store, monkeypatch):
    """The store as machines see it that share no files, and the search for other runs made too early to find any."""
    monkeypatch.setattr(Store, "is_file", False)
    monkeypatch.setattr("recurrent_cells.tracking.opening._known_run", lambda *_: None)
    return store


def test_of_two_machines_that_begin_at_once_one_gives_way(shared, spec, run_of):
    rival = run_of("abc", process_host="elsewhere")
    with pytest.raises(TrialBusy, match=r"^trial abc is being trained on elsewhere, process \d+$"):
        trial_run(shared, spec).__enter__()
    assert only_run(shared).info.run_id == rival


def test_a_trial_of_a_sweep_that_another_machine_finished_meanwhile_is_not_begun(shared, spec, run_of):
    finished = run_of("abc", status="FINISHED", process_host="elsewhere")
    with pytest.raises(TrialBusy, match=r"^trial abc was finished by another process just now$"):
        trial_run(shared, replace(spec, earlier=())).__enter__()
    assert only_run(shared).info.run_id == finished


@pytest.mark.parametrize("in_a_sweep", [False, True], ids=["no sweep", "finished too early"])
def test_a_finished_trial_can_be_trained_again(shared, spec, run_of, in_a_sweep):
    earlier = [run_of("abc", status="FINISHED", process_host="elsewhere")]
    with trial_run(shared, replace(spec, earlier=earlier if in_a_sweep else None)):
        pass
    assert [run.info.status for run in search(shared)] == ["FINISHED", "FINISHED"]


def test_a_trial_is_trained_in_two_experiments_at_once(store, spec):
    elsewhere = open_store("elsewhere", patience=0)
    with trial_run(store, spec), trial_run(elsewhere, spec):
        pass
    assert (only_run(store).info.status, only_run(elsewhere).info.status) == ("FINISHED", "FINISHED")
