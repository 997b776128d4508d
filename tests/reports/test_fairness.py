"""What else than the swept values could explain a result is said; what is equal is not complained of."""

import json
from pathlib import Path

import pytest

from recurrent_cells.reports.configurations import configurations, contenders
from recurrent_cells.reports.fairness import fairness
from recurrent_cells.reports.metric import Metric
from recurrent_cells.sweeps.results import read_sweeps
from recurrent_cells.tracking.histories import read_histories
from tests.written_sweeps import Made

ACCURACY = Metric("test/acc", is_share=True)
# What adam.yaml and sgd.yaml set.
ADAM = {"optimizer.name": "adam", "optimizer.lr": "0.003", "optimizer.eps": "1e-08", "optimizer.clip_norm": "1.0"}
SGD = {"optimizer.name": "sgd", "optimizer.lr": "0.1", "optimizer.momentum": "0.9", "optimizer.schedule": "none"}
OPTIMIZERS = {"adam": ADAM | {"optimizer.schedule": "cosine"}, "sgd": SGD}


@pytest.fixture
def found(store, make_sweep):
    """`found(trials…)` → what differs, by the thing looked at."""

    def look(*trials: Made) -> dict[str, str]:
        at, data = read_sweeps(store, make_sweep(*trials))
        compared = contenders(configurations(data))
        histories = read_histories(at, [trial.run_id for trial in data.finished], ["val/loss"])
        findings = fairness(data, compared, histories, ACCURACY)
        return {finding.what: finding.difference for finding in findings if finding.difference}

    return look


def test_equal_trials_are_fair(found):
    assert found(*(Made("gru", seed, params={"optimizer.lr": lr}) for seed in (0, 1) for lr in ("0.1", "0.2"))) == {}


def test_parameters_seeds_and_unfinished_trials(found):
    differences = found(Made("gru", 0), Made("gru", 1), Made("lstm", 0), Made("lstm", 1, state="FAILED"))
    assert differences == {
        "unfinished trials": "1 of 4 are not in the comparison: 1 failed",
        "seeds": "0,1 (GRU); 0 (LSTM)",
        "parameters": "LSTM has 4,000, 1.3 times the 3,000 of GRU",
    }


@pytest.mark.parametrize(
    ("tags", "what", "words"),
    [
        ({"device": "H100"}, "device", "cpu (GRU); H100 (LSTM)"),
        ({"git.commit": "abc"}, "code", "unknown (GRU); abc (LSTM)"),
        ({"git.dirty": "true"}, "uncommitted changes", "lstm-h8x1-s0 trained with code that is in no commit"),
        (
            {"protocol": "test-watched"},
            "test examples watched while training",
            "lstm-h8x1-s0 chose their weights by them",
        ),
    ],
)
def test_tags_that_differ(found, tags, what, words):
    assert found(Made("gru", 0), Made("lstm", 0, tags=tags))[what] == words


def test_settings_that_differ_without_having_been_swept(store, make_sweep):
    a = make_sweep(Made("gru", 0, params={"data.batch_size": "100"}), name="a")
    b = make_sweep(Made("lstm", 0, params={"data.batch_size": "200"}), name="b")
    _, data = read_sweeps(store, f"{a},{b}")
    findings = fairness(data, configurations(data), {}, ACCURACY)
    (settings,) = (it for it in findings if it.what == "differing settings beyond those swept")
    assert settings.difference == "data.batch_size (100, 200)"


def test_cells_in_blocks_and_bare_ones_are_told_apart(found, store, make_sweep):
    trials = [Made("gru", 0), Made("lstm", 0, params={"model.block": "residual"})]
    assert found(*trials)["block around the layers"] == "none (GRU block none); residual (LSTM block residual)"
    data = read_sweeps(store, make_sweep(*trials))[1]
    findings = fairness(data, configurations(data)[1:], {}, ACCURACY)
    (block,) = (it for it in findings if it.what == "block around the layers")
    assert (block.difference, block.value) == ("", "residual")


def test_a_configuration_is_what_differs_in_the_seed_alone(store, make_sweep):
    lrs = ("0.1", "0.2")
    trials = [
        Made(cell, seed, params={"optimizer.lr": lr}) for cell in ("gru", "lstm") for lr in lrs for seed in (0, 1)
    ]
    trials[2].accuracy = trials[3].accuracy = 0.95
    found = configurations(read_sweeps(store, make_sweep(*trials))[1])
    assert [one.label for one in found] == ["GRU lr 0.1", "GRU lr 0.2", "LSTM lr 0.1", "LSTM lr 0.2"]
    assert found[1].values(ACCURACY) == {0: 0.95, 1: 0.95}
    assert [one.label for one in contenders(found)] == ["GRU lr 0.2", "LSTM lr 0.1"]


def test_sizes_chosen_together_with_the_cell_are_swept(store, make_sweep):
    parent = make_sweep(
        Made("gru", 0, params={"model.hidden_size": "150"}), Made("lstm", 0, params={"model.hidden_size": "128"})
    )
    plan = json.loads(Path(store.client.download_artifacts(parent, "plan.json")).read_text())
    for entry, choice in zip(plan, ("{cell:gru,hidden_size:150}", "{cell:lstm,hidden_size:128}"), strict=True):
        entry["overrides"] = [f"model={choice}", "seed=0"]
    store.client.log_text(parent, json.dumps(plan), "plan.json")
    _, data = read_sweeps(store, parent)
    assert data.swept == {"model.cell", "model.hidden_size"}


def by_optimizer(cell, seed, name, **more):
    return Made(cell, seed, params=OPTIMIZERS[name] | more, choices={"optimizer": name} | more)


def test_files_of_a_group_that_were_swept_name_the_configurations_and_are_fair(store, make_sweep):
    parent = make_sweep(*(by_optimizer("lstm", seed, name) for name in ("adam", "sgd") for seed in (0, 1)))
    _, data = read_sweeps(store, parent)
    found = configurations(data)
    assert [one.label for one in found] == ["LSTM adam", "LSTM sgd"]
    assert [len(one.trials) for one in found] == [2, 2]
    assert [it.what for it in fairness(data, found, {}, ACCURACY) if it.difference] == []


OF_ANY_KEYS = ("experiment", "problem")


@pytest.mark.parametrize("group", ["model", "data", "optimizer", "trainer", *OF_ANY_KEYS])
def test_each_group_explains_the_keys_of_its_files_alone(store, make_sweep, group):
    keys = [f"{'optimizer' if group in OF_ANY_KEYS else group}.key{n}" for n in range(6)]
    trials = [
        Made(
            "lstm",
            0,
            params=dict.fromkeys(keys, name) | {"trainer.max_steps" if group != "trainer" else "data.x": name},
            choices={group: name},
        )
        for name in ("one", "two")
    ]
    _, data = read_sweeps(store, make_sweep(*trials))
    found = configurations(data)
    beyond = {it.what: it.difference for it in fairness(data, found, {}, ACCURACY)}
    if group in OF_ANY_KEYS:
        assert [one.label for one in found] == ["LSTM one", "LSTM two"]
        assert beyond["differing settings beyond those swept"] == ""
    else:
        assert [one.label.split()[:2] for one in found] == [["LSTM", "one"], ["LSTM", "two"]]
        assert beyond["differing settings beyond those swept"].endswith(" (one, two)")
        assert group not in beyond["differing settings beyond those swept"]


def test_a_key_swept_beside_its_group_is_named_too(store, make_sweep):
    trials = [
        by_optimizer("lstm", 0, name, **{"optimizer.lr": lr}) for name in ("adam", "sgd") for lr in ("0.01", "0.02")
    ]
    _, data = read_sweeps(store, make_sweep(*trials))
    assert [one.label for one in configurations(data)] == [
        "LSTM adam lr 0.01",
        "LSTM adam lr 0.02",
        "LSTM sgd lr 0.01",
        "LSTM sgd lr 0.02",
    ]


def test_what_a_group_does_not_explain_in_a_joined_sweep_still_tells(store, make_sweep):
    swept = make_sweep(*(by_optimizer("lstm", 0, name) for name in ("adam", "sgd")), name="a")
    other = make_sweep(Made("lstm", 0, params={"optimizer.lr": "0.5"}), name="b")
    _, data = read_sweeps(store, f"{swept},{other}")
    settings = fairness(data, configurations(data), {}, ACCURACY)[0]
    assert settings.what == "differing settings beyond those swept"
    assert "optimizer.lr (0.003, 0.1, 0.5)" in settings.difference


def test_configurations_whose_histories_were_not_read_are_not_called_different(store, make_sweep):
    at, data = read_sweeps(store, make_sweep(*(Made("gru", 0, params={"optimizer.lr": lr}) for lr in ("1", "2", "3"))))
    compared = configurations(data)
    histories = read_histories(at, [compared[0].trials[0].run_id], ["val/loss"])
    steps = next(it for it in fairness(data, compared, histories, ACCURACY) if it.what == "steps trained")
    assert (steps.difference, steps.value) == ("", "30")


def test_a_configuration_is_the_same_on_each_problem_of_a_sweep(store, make_sweep):
    problems = {"one": ("adding", "last"), "two": ("parity", "every")}
    trials = [
        Made(
            cell,
            0,
            params={"data.name": data, "model.readout": readout, "trainer.max_epochs": name},
            tags={"data.digest": name},
            choices={"problem": name},
        )
        for name, (data, readout) in problems.items()
        for cell in ("lstm", "gru")
    ]
    _, data = read_sweeps(store, make_sweep(*trials))
    found = configurations(data)
    assert [one.label for one in found] == ["LSTM one", "GRU one", "LSTM two", "GRU two"]
    assert [one.identity for one in found[:2]] == [one.identity for one in found[2:]]
    assert found[0].identity != found[1].identity
