"""Stores behind an MLflow server: read in bulk as their databases are; sweeps through a server on PostgreSQL."""

from math import inf, nan
from types import SimpleNamespace

import pytest
from mlflow.entities import Metric
from mlflow.server import handlers
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

from benchmarks.postgres import NoPostgres, tracking_server
from recurrent_cells.errors import UserError
from recurrent_cells.tracking import repairs
from recurrent_cells.tracking import server as bulk
from recurrent_cells.tracking import store as module
from recurrent_cells.tracking.artifacts import read_bytes
from recurrent_cells.tracking.histories import Histories, read_histories
from recurrent_cells.tracking.queries import trial_records
from recurrent_cells.tracking.store import open_store
from tests.served import mlflow_app, served
from tests.support import TINY, write_data_set

__all__ = ["mlflow_app", "served"]


@pytest.fixture
def server(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "TRACKING", tmp_path / "mlruns")
    try:
        with tracking_server(tmp_path / "server") as server:
            monkeypatch.setenv("MLFLOW_TRACKING_URI", server.uri)
            yield server
    except NoPostgres as missing:
        pytest.skip(str(missing))


@pytest.mark.slow
def test_a_sweep_through_a_server_is_tracked_whole_and_leaves_nothing_to_do(server, run_cli, tmp_path, monkeypatch):
    command = ("-m", *TINY, f"data.root={write_data_set(tmp_path / 'data')}", "seed=0,1", "hydra.launcher.slots=2")
    answer = run_cli(*command)
    assert answer.code == 0, answer.err
    assert "Report: " in answer.out
    store = open_store("recurrent-cells")
    records = trial_records(store)
    assert [record.status for record in records] == ["FINISHED", "FINISHED"]
    for record in records:
        assert len(store.client.get_metric_history(record.run_id, "val/acc")) == 4
        files = {file.path for file in store.client.list_artifacts(record.run_id)}
        assert {"best.ckpt", "config.yaml", "train.log"} <= files
    assert len(list((store.folder / "trials").iterdir())) == 2  # until the copies have been read back
    monkeypatch.setattr(repairs, "SETTLING", 0.0)
    assert run_cli(*command).err.splitlines()[0] == "2 of 2 trials are left out"
    assert list((store.folder / "trials").iterdir()) == []


@pytest.mark.parametrize("count", [0, 1, 2, 3, 19, 20])
def test_runs_read_from_a_server_are_those_of_its_database(store, served, run_of, monkeypatch, count):
    monkeypatch.setattr(bulk, "RUNS_A_PAGE", 2)
    runs = [run_of(f"{number:02d}", status="FINISHED", folder=False) for number in range(count)]
    for number, run_id in enumerate(runs):
        store.client.log_metric(run_id, "val/acc", [0.1 + 0.2, inf, -inf][number % 3], step=number)
        store.client.log_param(run_id, "seed", str(number))
    found = trial_records(served)
    assert [record.run_id for record in found] == runs
    assert found == trial_records(store)
    assert trial_records(served, "tags.fingerprint = '02'") == [it for it in found if it.fingerprint == "02"]


def lists(histories: Histories) -> dict[str, dict[str, list[list[float]]]]:
    """Histories as lists, in which NaN is a text: it equals itself."""
    return {
        run_id: {
            key: [it.steps.tolist(), ["nan" if value != value else value for value in it.values.tolist()]]
            for key, it in found.items()
        }
        for run_id, found in histories.items()
    }


@pytest.fixture
def histories(store, run_of):
    """The run ids of five runs with curves of 0 to 4 points."""
    runs = [run_of(name, folder=False) for name in "abcde"]
    for number, run_id in enumerate(runs):
        values = [0.1 + 0.2, nan, inf, 1 / 3][:number]
        store.client.log_batch(
            run_id, metrics=[Metric("val/acc", value, 9 - place, place) for place, value in enumerate(values)]
        )
        store.client.log_batch(run_id, metrics=[Metric("val/loss", 2.0, 1, 7), Metric("val/loss", 1.0, 2, 7)])
    return runs


@pytest.mark.parametrize("most", [1, 2, 3, 4, 5, 9, 10, 11, 25_000])
def test_histories_read_from_a_server_are_those_of_its_database(store, served, histories, monkeypatch, most):
    monkeypatch.setattr(bulk, "MOST_POINTS", most)
    read = lists(read_histories(served, histories, ["val/acc", "val/loss", "no/such"]))
    assert read == lists(read_histories(store, histories, ["val/acc", "val/loss", "no/such"]))
    assert read[histories[4]] == {
        "val/acc": [[0, 1, 2, 3], [0.1 + 0.2, "nan", "nan", 1 / 3]],
        "val/loss": [[7], [1.0]],
    }
    assert list(read[histories[0]]) == ["val/loss"]


def test_a_server_that_answers_for_one_run_at_a_time_is_asked_so(store, served, histories, monkeypatch):
    monkeypatch.setattr(bulk, "HISTORIES", "/ajax-api/2.0/mlflow/no/such")
    assert lists(read_histories(served, histories, ["val/acc"])) == lists(read_histories(store, histories, ["val/acc"]))


def test_files_that_a_server_hands_out(served, tmp_path, monkeypatch):
    monkeypatch.setenv("_MLFLOW_SERVER_SERVE_ARTIFACTS", "true")
    monkeypatch.setattr(handlers, "_artifact_repo", get_artifact_repository(tmp_path.as_uri()))
    run = SimpleNamespace(run_id="r0", artifact_uri="mlflow-artifacts:/1/r0/artifacts")
    (tmp_path / "1/r0/artifacts/a folder").mkdir(parents=True)
    for name, content in {"empty": b"", "a folder/1 of 2.npz": bytes(range(256)), "{}.json": b"{}"}.items():
        (tmp_path / "1/r0/artifacts" / name).write_bytes(content)
        assert read_bytes(served, run, name) == content
    assert read_bytes(served, run, "no such file") is None
    assert read_bytes(served, SimpleNamespace(run_id="r1", artifact_uri="mlflow-artifacts:/1/r1"), "empty") is None


def test_files_that_a_server_hands_out_are_refused_where_its_database_is_asked_for_them(store):
    run = SimpleNamespace(run_id="r0", artifact_uri="mlflow-artifacts:/1/r0/artifacts")
    with pytest.raises(UserError, match="handed out by a tracking server; set MLFLOW_TRACKING_URI"):
        read_bytes(store, run, "plan.json")
