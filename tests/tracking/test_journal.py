"""Points reach the store in order and once, whatever is cut short, repeated, full or away."""

import json
from types import SimpleNamespace

import pytest
from mlflow.exceptions import MlflowException

from recurrent_cells.tracking import journal as module
from recurrent_cells.tracking.journal import Courier, Journal


def test_points_arrive_in_order_and_once(tmp_path, client):
    journal = Journal(tmp_path)
    journal.write({"loss": 3.0, "acc": 0.1}, 1)
    journal.deliver(client, "run")
    journal.write({"loss": 2.0}, 2)
    journal.write({"loss": float("inf")}, 3)
    journal.deliver(client, "run")
    journal.deliver(client, "run")
    assert client.points == [("loss", 3.0, 1), ("acc", 0.1, 1), ("loss", 2.0, 2), ("loss", float("inf"), 3)]
    assert len(client.batches) == 2


def test_points_that_a_resumed_trial_repeats_are_dropped(tmp_path, client):
    first = Journal(tmp_path)
    for step in (1, 2, 3):
        first.write({"loss": float(step)}, step)
    first.close()
    resumed = Journal(tmp_path)
    resumed.write({"loss": 2.0}, 2)
    resumed.write({"loss": 3.0, "acc": 0.5}, 3)
    resumed.write({"loss": 4.0}, 4)
    resumed.deliver(client, "run")
    assert client.points == [("loss", 1.0, 1), ("loss", 2.0, 2), ("loss", 3.0, 3), ("acc", 0.5, 3), ("loss", 4.0, 4)]


def test_what_was_delivered_is_not_sent_again(tmp_path, client):
    first = Journal(tmp_path)
    first.write({"loss": 1.0}, 1)
    first.deliver(client, "run")
    first.write({"loss": 2.0}, 2)
    first.close()
    Journal(tmp_path).deliver(client, "run")
    assert client.points == [("loss", 1.0, 1), ("loss", 2.0, 2)]


def test_a_half_written_last_line_is_taken_off_and_written_again(tmp_path, client):
    first = Journal(tmp_path)
    first.write({"loss": 1.0}, 1)
    first.write({"loss": 2.0}, 2)
    first.close()
    path = tmp_path / "journal.jsonl"
    path.write_bytes(path.read_bytes()[:-9])
    resumed = Journal(tmp_path)
    resumed.write({"loss": 2.0}, 2)
    resumed.deliver(client, "run")
    assert client.points == [("loss", 1.0, 1), ("loss", 2.0, 2)]
    assert [json.loads(line)["step"] for line in path.read_text().splitlines()] == [1, 2]


@pytest.mark.parametrize("mark", [None, "", "rubbish"])
def test_without_its_mark_everything_is_sent_again_with_the_same_timestamps(tmp_path, client, mark):
    journal = Journal(tmp_path)
    journal.write({"loss": 1.0}, 1)
    journal.deliver(client, "run")
    (tmp_path / "delivered").unlink()
    if mark is not None:
        (tmp_path / "delivered").write_text(mark)
    Journal(tmp_path).deliver(client, "run")
    assert client.batches[0] == client.batches[1]


def test_mlflow_ignores_what_is_sent_again(store, run_of, tmp_path):
    run_id = run_of("abc")
    journal = Journal(tmp_path)
    for step in (1, 2):
        journal.write({"loss": 1.0 / step}, step)
    journal.deliver(store.client, run_id)
    (tmp_path / "delivered").unlink()
    Journal(tmp_path).deliver(store.client, run_id)
    history = store.client.get_metric_history(run_id, "loss")
    assert [(point.step, point.value) for point in history] == [(1, 1.0), (2, 0.5)]


def test_more_points_than_mlflow_takes_at_once(tmp_path, client):
    journal = Journal(tmp_path)
    for step in range(2300):
        journal.write({"loss": float(step)}, step)
    journal.deliver(client, "run")
    assert [len(batch) for batch in client.batches] == [1000, 1000, 300]
    assert client.points == [("loss", float(step), step) for step in range(2300)]


def test_a_store_that_is_away_loses_nothing(tmp_path, client):
    journal = Journal(tmp_path)
    client.away = True
    journal.write({"loss": 1.0}, 1)
    with pytest.raises(MlflowException, match="away"):
        journal.deliver(client, "run")
    journal.write({"loss": 2.0}, 2)
    client.away = False
    journal.deliver(client, "run")
    assert client.points == [("loss", 1.0, 1), ("loss", 2.0, 2)]


def test_on_a_full_disk_points_wait_and_are_not_delivered_before_they_are_safe(tmp_path, client, disk):
    journal = Journal(tmp_path)
    journal.write({"loss": 1.0}, 1)
    disk.room = 10
    journal.write({"loss": 2.0}, 2)
    journal.write({"loss": 3.0}, 3)
    with pytest.raises(OSError, match="No space left"):
        journal.deliver(client, "run")
    assert client.points == []
    disk.room = None
    journal.deliver(client, "run")
    assert client.points == [("loss", 1.0, 1), ("loss", 2.0, 2), ("loss", 3.0, 3)]
    assert len((tmp_path / "journal.jsonl").read_text().splitlines()) == 3


def test_a_crash_on_a_full_disk_leaves_a_journal_to_go_on_from(tmp_path, client, disk):
    journal = Journal(tmp_path)
    journal.write({"loss": 1.0}, 1)
    disk.room = 10
    journal.write({"loss": 2.0}, 2)
    journal.close()
    disk.room = None
    resumed = Journal(tmp_path)
    resumed.write({"loss": 2.0}, 2)
    resumed.deliver(client, "run")
    assert client.points == [("loss", 1.0, 1), ("loss", 2.0, 2)]


def test_the_courier_tells_once_that_it_fails_and_once_that_it_goes_on(tmp_path, client, monkeypatch, caplog):
    monkeypatch.setattr(module, "SECONDS_BETWEEN_DELIVERIES", 0.01)
    monkeypatch.setattr(module, "SECONDS_BETWEEN_BEATS", 0.0)
    caplog.set_level("INFO")
    journal = Journal(tmp_path)
    courier = Courier(SimpleNamespace(client=client, experiment_id="0"), ["parent"])
    courier.add("run", journal, lambda why: None)
    client.away = True
    journal.write({"loss": 1.0}, 1)
    courier.start()
    eventually(lambda: "metrics cannot be delivered (away)" in caplog.text)
    journal.write({"loss": 2.0}, 2)
    client.away = False
    eventually(lambda: "delivered again" in caplog.text)
    courier.stop()
    assert client.points == [("loss", 1.0, 1), ("loss", 2.0, 2)]
    assert len(caplog.records) == 2
    assert {run_id for run_id, key in client.tags if key == "process.heartbeat"} == {"run", "parent"}


def eventually(condition) -> None:
    import time

    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)
