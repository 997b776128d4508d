"""Sweeps through an MLflow server on PostgreSQL."""

import pytest

from benchmarks.postgres import NoPostgres, tracking_server
from recurrent_cells.tracking import repairs
from recurrent_cells.tracking import store as module
from recurrent_cells.tracking.queries import trial_records
from recurrent_cells.tracking.store import open_store
from tests.support import TINY, write_data_set


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
