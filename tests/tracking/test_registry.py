"""Who is champion, and what is registered."""

import pytest

from recurrent_cells.tracking.queries import trial_records
from recurrent_cells.tracking.registry import crown, find_champion


@pytest.fixture
def trial(store, run_of):
    """`trial("gru", 0.9)` is a finished trial with a validation accuracy on some data."""

    def made(name, accuracy, digest="d0"):
        run_id = run_of(name, "FINISHED", cell=name, data_digest=digest)
        store.client.log_metric(run_id, "val/best_acc", accuracy)
        return next(record for record in trial_records(store) if record.run_id == run_id)

    return made


def versions(store):
    return store.client.search_model_versions("name = 'cells'")


def test_the_first_is_champion_and_registered_once(store, trial):
    assert find_champion(store) is None
    first = trial("gru", 0.9)
    assert crown(store, first) == "Champion: trial-gru (validation accuracy 0.9000) is now version 1 of cells"
    assert crown(store, first) == "Champion: trial-gru (validation accuracy 0.9000), version 1 of cells, as before"
    (version,) = versions(store)
    assert (version.run_id, version.source) == (first.run_id, f"{first.artifact_uri}/model")
    assert version.tags == {"cell": "gru", "data.digest": "d0"}


@pytest.mark.parametrize(("accuracy", "wins"), [(0.91, True), (0.9, False), (0.5, False)])
def test_only_a_better_one_takes_its_place(store, trial, accuracy, wins):
    first, second = trial("gru", 0.9), trial("lstm", accuracy)
    crown(store, first)
    said = crown(store, second)
    assert find_champion(store).run_id == (second if wins else first).run_id
    assert len(versions(store)) == (2 if wins else 1)
    assert said == (
        "Champion: trial-lstm (validation accuracy 0.9100) is now version 2 of cells"
        if wins
        else f"Champion: trial-gru (0.9000), version 1, stays: "
        f"trial-lstm (validation accuracy {accuracy:.4f}) is not better"
    )


def test_one_on_other_data_is_no_challenger(store, trial):
    first = trial("gru", 0.9)
    crown(store, first)
    assert "trained on other data, they cannot be compared" in crown(store, trial("lstm", 0.99, digest="d1"))
    assert find_champion(store).run_id == first.run_id


def test_a_champion_whose_run_was_deleted_is_succeeded(store, trial):
    first, second = trial("gru", 0.9), trial("lstm", 0.8)
    crown(store, first)
    store.client.delete_run(first.run_id)
    crown(store, second)
    assert find_champion(store).run_id == second.run_id
    assert len(versions(store)) == 2
