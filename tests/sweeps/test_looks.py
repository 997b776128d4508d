"""Sweeps that add seeds until each pair is decided, over trials whose accuracies are written, not trained."""

from collections.abc import Callable

import pytest

from recurrent_cells.config.schema import Config
from recurrent_cells.tracking.steering import ask_for_seeds
from tests.conftest import Answer

# Accuracies by seed: they spread by a point about the cell's own.
SPREAD = (0.000, 0.006, -0.005, 0.004, -0.006, 0.002, -0.003, 0.005, -0.001, 0.003, -0.004, 0.001)


@pytest.fixture
def decide(sweep, written) -> Callable[..., Answer]:
    """`decide({"gru": 0.9, "lstm": 0.8}, …)` sweeps cells of these accuracies until it is decided which are better."""

    def run(accuracies: dict[str, float], *arguments: str, fail: tuple[tuple[str, int], ...] = ()) -> Answer:
        def accuracy(config: Config) -> float | None:
            cell, seed = config.model.cell, config.seed
            return None if (cell, seed) in fail else accuracies[cell] + SPREAD[seed % len(SPREAD)]

        return sweep(f"model={','.join(accuracies)}", "sweep.until=decided", *arguments, train=written(accuracy))

    return run


def seeds(trials) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for record in (it for it in trials() if it.status == "FINISHED"):
        found.setdefault(record.params["model.cell"], []).append(int(record.params["seed"]))
    return {cell: sorted(used) for cell, used in found.items()}


@pytest.mark.slow
def test_a_clear_question_takes_the_first_look_alone(decide, trials, parents):
    answer = decide({"simple_rnn": 0.5, "gru": 0.9})
    assert answer.code == 0
    assert seeds(trials) == {"simple_rnn": [0, 1, 2], "gru": [0, 1, 2]}
    (parent,) = parents()
    assert parent.info.status == "FINISHED"
    assert parent.data.tags["sweep.trials"] == "6"
    assert "after 3 seeds: gru beats simple_rnn (40 ± " in answer.err


@pytest.mark.slow
def test_seeds_are_added_only_where_a_pair_is_open(decide, trials):
    assert decide({"simple_rnn": 0.5, "lstm": 0.900, "gru": 0.901}, "sweep.max_seeds=8").code == 0
    found = seeds(trials)
    assert found["simple_rnn"] == [0, 1, 2]
    assert found["lstm"] == found["gru"] == list(range(8))


@pytest.mark.slow
def test_what_lies_within_the_margin_needs_no_more_seeds(decide, trials):
    answer = decide({"lstm": 0.900, "gru": 0.901}, "sweep.margin=8")
    assert answer.code == 0
    assert "equals" in answer.err
    assert seeds(trials) == {"lstm": [0, 1, 2], "gru": [0, 1, 2]}


@pytest.mark.slow
def test_the_same_command_with_more_seeds_goes_on_below_the_same_parent(decide, trials, parents):
    question = {"lstm": 0.900, "gru": 0.901}
    assert decide(question, "seed=1,4", "sweep.max_seeds=3").code == 0
    assert seeds(trials)["gru"] == [0, 1, 4]
    assert decide(question, "seed=1,4", "sweep.max_seeds=5").code == 0
    assert seeds(trials)["gru"] == [0, 1, 2, 3, 4]
    (parent,) = parents()
    assert parent.data.tags["sweep.finished"] == "10"


@pytest.mark.slow
def test_a_failed_trial_is_named_and_tried_again_by_the_same_command(decide, trials):
    question = {"simple_rnn": 0.5, "gru": 0.9}
    answer = decide(question, fail=(("gru", 1),))
    assert answer.code == 1
    assert "it fails" in answer.err
    assert decide(question).code == 0
    assert 1 in seeds(trials)["gru"]


@pytest.mark.slow
def test_where_every_trial_fails_nothing_is_decided_and_all_are_named(decide):
    question = {"simple_rnn": 0.5, "gru": 0.9}
    answer = decide(question, fail=tuple((cell, seed) for cell in question for seed in (0, 1, 2)))
    assert answer.code == 1
    assert answer.err.count("it fails") >= 6


@pytest.mark.slow
def test_a_configuration_whose_trials_all_failed_is_compared_once_they_finish(decide, trials):
    question = {"simple_rnn": 0.5, "lstm": 0.9, "gru": 0.7}
    assert decide(question, fail=tuple(("simple_rnn", seed) for seed in (0, 1, 2))).code == 1
    answer = decide(question)
    assert answer.code == 0
    assert "gru beats simple_rnn" in answer.err
    assert seeds(trials)["simple_rnn"] == [0, 1, 2]


@pytest.mark.slow
def test_trying_what_failed_again_keeps_the_seeds_that_were_added(decide, trials, parents):
    question = {"lstm": 0.900, "gru": 0.901}
    assert decide(question, "sweep.max_seeds=5", fail=(("gru", 3),)).code == 1
    assert decide(question, "sweep.max_seeds=5", "sweep.rerun=failed").code == 0
    assert seeds(trials) == {"lstm": list(range(5)), "gru": list(range(5))}
    (parent,) = parents()
    assert (parent.info.status, parent.data.tags["sweep.trials"]) == ("FINISHED", "10")


@pytest.mark.slow
def test_of_each_cell_the_best_by_validation_at_the_first_look_is_compared(decide, trials):
    answer = decide({"lstm": 0.900, "gru": 0.901}, "optimizer.lr=0.1,0.2", "sweep.max_seeds=5")
    assert answer.code == 0
    assert {cell: len(used) for cell, used in seeds(trials).items()} == {"lstm": 8, "gru": 8}  # 2 × 3 + 2


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("model=gru",), "one configuration"),
        (("model=gru", "data.sequence=rows,columns"), "one configuration on the same data"),
        (("seed=0",), "sweep.max_seeds=30"),
        (("seed=0,1,2", "sweep.max_seeds=2"), "sweep.max_seeds=2"),
        (("hydra/sweeper=optuna",), "a search"),
        (("sweep.margin=-1",), "sweep.margin=-1"),
    ],
)
def test_what_cannot_be_decided_is_refused(sweep, parents, arguments, said):
    answer = sweep("model=lstm,gru", "sweep.until=decided", *arguments)
    assert answer.code == 2
    assert said in answer.err
    assert parents() == []


def test_a_dry_run_says_that_seeds_may_be_added(sweep, parents):
    answer = sweep("model=lstm,gru", "sweep.until=decided", "sweep.max_seeds=8", "sweep.dry_run=true")
    assert answer.code == 0
    assert "6 trials" in answer.out
    assert "sweep.max_seeds=8" in answer.out
    assert parents() == []


@pytest.fixture
def fixed(sweep, written) -> Callable[..., Answer]:
    """`fixed({"gru": 0.9, …})` sweeps cells of these accuracies with three seeds; `act` is called in each trial."""

    def run(accuracies: dict[str, float], *arguments: str, act: Callable[[], None] = lambda: None) -> Answer:
        def accuracy(config: Config) -> float:
            act()
            return accuracies[config.model.cell] + SPREAD[config.seed % len(SPREAD)]

        return sweep(f"model={','.join(accuracies)}", "seed=0,1,2", *arguments, train=written(accuracy))

    return run


@pytest.mark.slow
def test_a_fixed_sweep_that_has_ended_adds_seeds_once_its_tags_ask_for_them(fixed, store, trials, parents):
    question = {"lstm": 0.900, "gru": 0.901}
    assert fixed(question).code == 0
    assert seeds(trials) == {"lstm": [0, 1, 2], "gru": [0, 1, 2]}
    (parent,) = parents()
    ask_for_seeds(store, parent.info.run_id, 5)
    answer = fixed(question)
    assert answer.code == 0
    assert "after 5 seeds: " in answer.err
    assert seeds(trials) == {"lstm": list(range(5)), "gru": list(range(5))}
    (parent,) = parents()
    assert (parent.info.status, parent.data.tags["sweep.trials"]) == ("FINISHED", "10")
    assert fixed(question).code == 0
    assert len(trials()) == 10


@pytest.mark.slow
def test_a_fixed_sweep_that_runs_takes_it_up_when_its_trials_have_ended(fixed, store, trials, parents):
    def ask() -> None:
        if not store.client.get_run(parents()[0].info.run_id).data.tags.get("sweep.until"):
            ask_for_seeds(store, parents()[0].info.run_id, 5)

    assert fixed({"lstm": 0.900, "gru": 0.901, "simple_rnn": 0.5}, act=ask).code == 0
    assert seeds(trials) == {"lstm": list(range(5)), "gru": list(range(5)), "simple_rnn": [0, 1, 2]}
    assert len(parents()) == 1


@pytest.mark.slow
def test_seeds_that_are_asked_for_where_nothing_can_be_decided_are_not_added(fixed, store, trials, parents):
    assert fixed({"gru": 0.9}).code == 0
    ask_for_seeds(store, parents()[0].info.run_id, 5)
    answer = fixed({"gru": 0.9})
    assert answer.code == 0
    assert "no seeds are added; " in answer.err
    assert seeds(trials) == {"gru": [0, 1, 2]}


@pytest.mark.slow
@pytest.mark.parametrize("tags", [{"sweep.until": "done", "sweep.max_seeds": "5"}, {"sweep.until": "decided"}])
def test_other_tags_ask_for_no_seeds(fixed, store, trials, parents, tags):
    assert fixed({"lstm": 0.900, "gru": 0.901}).code == 0
    for key, value in tags.items():
        store.client.set_tag(parents()[0].info.run_id, key, value)
    assert fixed({"lstm": 0.900, "gru": 0.901}).code == 0
    assert len(trials()) == 6
