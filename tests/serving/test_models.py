"""Which networks a server takes."""

import pytest

from recurrent_cells.config import extensions
from recurrent_cells.errors import UserError
from recurrent_cells.serving.app import describe
from recurrent_cells.serving.models import load_models
from recurrent_cells.tracking.names import Artifact, Tag
from recurrent_cells.tracking.queries import trial_records
from recurrent_cells.tracking.registry import crown
from recurrent_cells.tracking.store import open_store
from recurrent_cells.trial.train import train
from tests.support import TINY, compose_config, without_classes
from tests.test_extensions import CELL


@pytest.fixture
def store(store_file):
    return open_store("recurrent-cells")


@pytest.fixture
def make_trial(store, idx_folder):
    """`make_trial("model=gru", accuracy=0.5)` trains one and says its accuracy was that; its record."""

    def made(*overrides, accuracy):
        result = train(compose_config(*TINY, f"data.root={idx_folder}", "trainer.max_epochs=1", *overrides))
        store.client.log_metric(result["run_id"], "val/best_acc", accuracy, step=99)
        return next(record for record in trial_records(store) if record.run_id == result["run_id"])

    return made


def make_sweep(store, *records):
    import json

    entries = [{"name": it.name, "fingerprint": it.fingerprint, "overrides": [], "n_params": 1} for it in records]
    parent = store.client.create_run(store.experiment_id, tags={Tag.PLAN: "a sweep"}).info.run_id
    store.client.log_text(parent, json.dumps(entries), Artifact.PLAN)
    store.client.set_terminated(parent)


@pytest.mark.slow
def test_of_each_cell_the_best_of_the_latest_sweep_else_of_all(store, make_trial):
    swept = [make_trial("model=gru", f"seed={seed}", accuracy=0.5 + 0.1 * seed) for seed in (0, 1)]
    alone = make_trial("model=gru", "seed=2", accuracy=0.9)
    lstm = make_trial("model=lstm", accuracy=0.4)
    models = load_models(store)
    assert models.by_cell["gru"].record.run_id == alone.run_id
    make_sweep(store, *swept)
    models = load_models(store)
    assert {cell: it.record.run_id for cell, it in models.by_cell.items()} == {
        "lstm": lstm.run_id,
        "gru": swept[1].run_id,
    }
    assert models.left_out == {}
    assert (models.scoring.record.run_id, models.choice) == (alone.run_id, "best")


@pytest.mark.slow
def test_of_several_data_the_latest_sweep_s_network_scores(store, make_trial):
    rows = make_trial("model=gru", accuracy=0.5)
    columns = make_trial("model=gru", "data.sequence=columns", accuracy=0.9)
    assert load_models(store).scoring.record.run_id == columns.run_id, "the latest trial's, where there is no sweep"
    make_sweep(store, rows)
    models = load_models(store)
    assert (models.scoring.record.run_id, models.choice) == (rows.run_id, "best")
    for record in (rows, columns):
        crown(store, record)
    models = load_models(store)
    assert (models.scoring.record.run_id, models.choice) == (rows.run_id, "champion")


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("model.bidirectional=true", "it reads from both ends"),
        ("model.readout=mean", "it needs all steps"),
        ("data.sequence=columns", "it does not read row by row"),
    ],
)
def test_a_network_without_an_answer_after_each_row_is_left_out(store, make_trial, override, words):
    make_trial("model=gru", override, accuracy=0.9)
    models = load_models(store)
    assert models.by_cell == {}
    assert words in models.left_out["gru"]


def test_networks_without_classes_answer_with_numbers(make_trial, store, monkeypatch):
    make_trial("model=gru", accuracy=0.9)
    without_classes(monkeypatch)
    models = load_models(store)
    assert not models.scoring.task.has_classes
    assert list(models.by_cell) == ["gru"]


def test_cells_that_were_trained_on_other_data_are_left_out(store, make_trial):
    """The page compares on one drawing networks that were trained to read it."""
    make_trial("model=lstm", accuracy=0.9)
    gru = make_trial("model=gru", "data.val_size=30", accuracy=0.5)
    models = load_models(store)
    assert {cell: it.record.run_id for cell, it in models.by_cell.items()} == {"gru": gru.run_id}
    assert models.left_out["lstm"] == "no trial of it is finished on the data of gru-h8x1-s0"


@pytest.mark.slow
def test_cells_come_in_the_order_of_their_training(make_trial, store):
    for cell in ("lstm", "gru"):
        make_trial(f"model={cell}", accuracy=0.5)
    models = load_models(store)
    assert [*models.by_cell, *models.left_out] == ["lstm", "gru"]


def test_a_store_without_trials(store):
    with pytest.raises(UserError, match="no trial is finished"):
        load_models(store)


@pytest.mark.slow
def test_a_cell_of_an_extension_is_shown_though_its_file_was_not_loaded(store, make_trial, tmp_path):
    make_trial("model=gru", accuracy=0.9)
    (tmp_path / "my_cell.py").write_text(CELL)
    (given,) = extensions.load_given([f"extensions=[{tmp_path}/my_cell.py]"])
    make_trial(given, "model=output_gru", accuracy=0.5)
    extensions.clear()
    models = load_models(store)
    assert set(models.by_cell) == {"gru", "output_gru"}
    assert {cell["name"] for cell in describe(models)["cells"]} == {"GRU", "Output GRU"}
