"""What a sweep registers at its end."""

import pytest

from recurrent_cells.errors import UserError
from recurrent_cells.inference import champion
from recurrent_cells.inference.trained import find_winner
from recurrent_cells.tracking.queries import trial_records
from recurrent_cells.tracking.store import open_store
from tests.support import TINY

SWEEP = ("-m", *TINY, "sweep.report=false", "trainer.max_epochs=1", "model.hidden_size=4")


@pytest.mark.slow
def test_a_sweep_registers_its_best_network_once(run_cli, store_file, idx_folder):
    import mlflow

    command = (*SWEEP, f"data.root={idx_folder}", "seed=0,1", "registry=true")
    first = run_cli(*command)
    assert first.code == 0, first.err
    store = open_store("recurrent-cells")
    best = max(trial_records(store), key=lambda record: record.metrics["val/best_acc"])
    assert first.out.splitlines()[-1].endswith("is now version 1 of recurrent-cells")
    assert find_winner(store, "champion").run_id == find_winner(store, "best").run_id == best.run_id

    again = run_cli(*command)
    assert again.out.splitlines()[-1].endswith("version 1 of recurrent-cells, as before")
    assert len(store.client.search_model_versions("name = 'recurrent-cells'")) == 1

    mlflow.set_tracking_uri(f"sqlite:///{store_file}")
    loaded = mlflow.pyfunc.load_model("models:/recurrent-cells@champion")
    assert loaded.metadata.run_id == best.run_id


@pytest.mark.slow
def test_trials_that_left_no_model_get_one_when_they_win(run_cli, store_file, idx_folder):
    command = (*SWEEP, f"data.root={idx_folder}")
    without = run_cli(*command, "registry=false")
    assert (without.code, "Champion" in without.out) == (0, False)
    store = open_store("recurrent-cells")
    with pytest.raises(UserError, match=r"run=champion: .* has no registered model recurrent-cells"):
        find_winner(store, "champion")

    assert run_cli(*command, "registry=true").out.splitlines()[-1].startswith("Champion: lstm-h4x1-s0")
    winner = find_winner(store, "champion")
    assert "model/MLmodel" in [file.path for file in store.client.list_artifacts(winner.run_id, "model")]


@pytest.mark.slow
def test_a_registry_that_fails_is_one_line_and_the_sweep_is_finished(run_cli, store_file, idx_folder, monkeypatch):
    def fail(*_):
        raise RuntimeError("no registry today")

    monkeypatch.setattr(champion, "crown", fail)
    answer = run_cli(*SWEEP, f"data.root={idx_folder}", "registry=true")
    assert answer.code == 0
    assert answer.err.splitlines()[-1] == (
        "the best network could not be registered (no registry today): the same command tries again"
    )


@pytest.mark.slow
def test_a_sweep_with_a_failed_trial_registers_nothing(run_cli, store_file, idx_folder):
    answer = run_cli(*SWEEP, f"data.root={idx_folder}", "registry=true", "optimizer=sgd", "optimizer.lr=0.01,3e38")
    assert answer.code == 1
    assert "Champion" not in answer.out
    with pytest.raises(UserError, match="run=champion"):
        find_winner(open_store("recurrent-cells"), "champion")
