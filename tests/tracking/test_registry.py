"""Who is champion of which data, and what is registered."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import replace

import pytest

from benchmarks.turns import Turns
from recurrent_cells.tracking import registry
from recurrent_cells.tracking.queries import trial_records
from recurrent_cells.tracking.registry import crown, find_champions


@pytest.fixture
def trial(store, run_of):
    """`trial("gru", 0.9)` is a finished trial with a best validation value on some data."""

    def made(name, value, digest="d0", metric="acc", higher_is_better="true", **tags):
        run_id = run_of(name, "FINISHED", cell=name, data_digest=digest, metric=metric, **tags)
        store.client.set_tag(run_id, "metric.higher_is_better", higher_is_better)
        store.client.log_metric(run_id, f"val/best_{metric}", value)
        store.client.log_param(run_id, "data.name", "mnist")
        return next(record for record in trial_records(store) if record.run_id == run_id)

    return made


def versions(store):
    return store.client.search_model_versions("name = 'cells'")


def champion(store):
    (found,) = find_champions(store).values()
    return found.run_id


def aliases(store):
    """The run id that each alias leads to."""
    found = store.client.get_registered_model("cells").aliases
    return {alias: store.client.get_model_version("cells", version).run_id for alias, version in found.items()}


def test_the_first_is_champion_and_registered_once(store, trial):
    assert find_champions(store) == {}
    first = trial("gru", 0.9)
    assert crown(store, first) == "Champion: trial-gru (val/best_acc 0.9000) is now version 1 of cells"
    assert crown(store, first) == "Champion: trial-gru (val/best_acc 0.9000), version 1 of cells, as before"
    (version,) = versions(store)
    assert (version.run_id, version.source) == (first.run_id, f"{first.artifact_uri}/model")
    assert version.tags == {"cell": "gru", "data.digest": "d0"}


@pytest.mark.parametrize(("accuracy", "wins"), [(0.91, True), (0.9, False), (0.5, False)])
def test_only_a_better_one_takes_its_place(store, trial, accuracy, wins):
    first, second = trial("gru", 0.9), trial("lstm", accuracy)
    crown(store, first)
    said = crown(store, second)
    assert champion(store) == (second if wins else first).run_id
    assert set(aliases(store).values()) == {champion(store)}
    assert len(versions(store)) == (2 if wins else 1)
    assert ("is now version 2 of cells" if wins else f"trial-lstm (val/best_acc {accuracy:.4f}) is not better") in said


def test_a_metric_of_which_less_is_better(store, trial):
    values = {"gru": 0.5, "lstm": 0.4, "rnn": 0.6}
    first, better, worse = (trial(name, mse, metric="mse", higher_is_better="false") for name, mse in values.items())
    for record in (first, better, worse):
        crown(store, record)
    assert champion(store) == better.run_id


def test_a_network_that_watched_the_test_data_never_takes_the_place_of_one_that_did_not(store, trial):
    honest, watched = trial("gru", 0.5), trial("lstm", 0.99, protocol="test-watched")
    crown(store, honest)
    assert "trial-lstm (val/best_acc 0.9900) chose its weights by the test data" in crown(store, watched)
    assert champion(store) == honest.run_id


def test_a_network_that_did_not_takes_the_place_of_one_that_watched_the_test_data(store, trial):
    honest, watched = trial("gru", 0.5), trial("lstm", 0.99, protocol="test-watched")
    crown(store, watched)
    crown(store, honest)
    assert champion(store) == honest.run_id


def test_each_data_block_has_its_champion(store, trial):
    first, other = trial("gru", 0.9), trial("lstm", 0.5, digest="d1")
    crown(store, first)
    assert f"Champion of {other.block}: trial-lstm" in crown(store, other)
    better, worse = trial("rnn", 0.95), trial("coRNN", 0.4, digest="d1")
    crown(store, better)
    crown(store, worse)
    assert {block: record.run_id for block, record in find_champions(store).items()} == {
        first.block: better.run_id,
        other.block: other.run_id,
    }
    assert aliases(store) == {
        "champion": better.run_id,
        f"champion-{first.block}": better.run_id,
        f"champion-{other.block}": other.run_id,
    }


def test_the_one_alias_of_earlier_versions_is_read_on(store, trial):
    first, other, better = trial("gru", 0.9), trial("lstm", 0.99, digest="d1"), trial("rnn", 0.95)
    store.client.create_registered_model("cells")
    version = store.client.create_model_version("cells", f"{first.artifact_uri}/model", first.run_id).version
    store.client.set_registered_model_alias("cells", "champion", version)
    assert champion(store) == first.run_id
    crown(store, other)
    assert len(find_champions(store)) == 2
    crown(store, better)
    assert find_champions(store)[first.block].run_id == aliases(store)["champion"] == better.run_id


def test_a_champion_whose_run_was_deleted_is_succeeded(store, trial):
    first, second = trial("gru", 0.9), trial("lstm", 0.8)
    crown(store, first)
    store.client.delete_run(first.run_id)
    crown(store, second)
    assert champion(store) == second.run_id
    assert len(versions(store)) == 2


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_of_challengers_that_come_together_the_best_is_champion_in_the_end(store, trial, monkeypatch, seed):
    """Machines that share a server share no lock: their requests come in any order."""
    monkeypatch.setattr(registry, "alone", lambda *_: nullcontext())
    crown(store, trial("simple_rnn", 0.5))
    challengers = [trial("gru", 0.7), trial("lstm", 0.9), trial("rnn", 0.8)]
    turns = Turns(len(challengers), seed)
    with ThreadPoolExecutor(len(challengers)) as pool:
        said = list(pool.map(lambda record: turns.take(store, lambda one: crown(one, record)), challengers))
    assert champion(store) == challengers[1].run_id, said
    assert set(aliases(store).values()) == {champion(store)}


def test_on_one_machine_one_challenges_at_a_time(store, trial):
    crown(store, trial("simple_rnn", 0.5))
    challengers = [trial("gru", 0.7), trial("lstm", 0.9)]
    with ThreadPoolExecutor(2) as pool:
        said = list(pool.map(lambda record: crown(replace(store), record), challengers))
    assert champion(store) == challengers[1].run_id, said
    assert "trial-lstm (val/best_acc 0.9000) is now version" in said[1]


def test_a_champion_whose_files_are_damaged_is_none_and_another_takes_its_place(store, trial, caplog):
    best, other = trial("gru", 0.9), trial("lstm", 0.5)
    crown(store, best)
    store.client.set_tag(best.run_id, "manifest", '{"best.ckpt":[7,""]}')
    assert find_champions(store) == {}
    assert f"champion {best.name} ({best.run_id}) is left out: DAMAGED, best.ckpt is missing" in caplog.text
    crown(store, other)
    assert champion(store) == other.run_id


@pytest.mark.parametrize("experiment", ["me/mnist", "o'brien: first"])
def test_an_experiment_of_any_name_has_a_champion(store, trial, experiment):
    named = replace(store, experiment=experiment)
    first = trial("gru", 0.9)
    assert "is now version 1 of " in crown(named, first)
    store.client.create_model_version(registry.model_name(named), str(first.artifact_uri))  # somebody's, of no run
    better = trial("lstm", 0.95)
    crown(named, better)
    assert champion(named) == better.run_id
