import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import optuna
import pytest

from recurrent_cells.config.schema import SweepConfig
from recurrent_cells.tracking.store import Store, open_store
from recurrent_cells.trial.judge import PRUNER, Judge, judge_of
from recurrent_cells.trial.study_storage import STORAGE, make_storage


@pytest.fixture
def store(store_file) -> Store:
    return open_store("recurrent-cells")


@pytest.fixture(scope="module")
def empty_storage(tmp_path_factory) -> Path:
    """A storage without studies: to make one takes long, to copy it not."""
    folder = tmp_path_factory.mktemp("storage")
    make_storage(folder).engine.dispose()
    return folder / STORAGE


@pytest.fixture
def make_study(store, empty_storage) -> Callable[[str], optuna.Study]:
    """`make_study("asha")` is a study with that pruner, whose trials have nine evaluations."""
    shutil.copy(empty_storage, store.folder / STORAGE)

    def make(pruner: str, objectives: Sequence[str] = ("val/acc",)) -> optuna.Study:
        directions = ["maximize" if it == "val/acc" else "minimize" for it in objectives]
        study = optuna.create_study(study_name="a study", storage=make_storage(store.folder), directions=directions)
        settings = {"pruner": pruner, "startup_trials": 2, "min_evaluations": 1, "reduction_factor": 3}
        settings["objectives"] = objectives
        study.set_user_attr(PRUNER, settings | {"evaluations": 9})
        return study

    return make


def evaluations_of(judge, accuracy, most=9, n_params=100.0):
    """How many evaluations a trial has whose accuracy never changes."""
    values = {"val/acc": accuracy, "n_params": n_params, "seconds": 1.0}
    return next((count for count in range(1, most + 1) if judge(count, values)), most)


@pytest.mark.slow
@pytest.mark.parametrize("pruner", ["median", "asha", "hyperband"])
def test_poor_trials_are_stopped_and_good_ones_are_not(store, make_study, pruner):
    study = make_study(pruner)
    lengths = {0.9: [], 0.1: []}
    for number in range(8):
        accuracy = 0.1 if number % 2 else 0.9
        assert study.ask().number == number
        lengths[accuracy].append(evaluations_of(Judge(store, "a study", number), accuracy))
        study.tell(number, accuracy)
    assert lengths[0.9] == [9, 9, 9, 9]
    assert min(lengths[0.1]) < 9


@pytest.mark.slow
@pytest.mark.parametrize("pruner", ["median", "asha"])
@pytest.mark.parametrize("objectives", [("val/acc", "n_params"), ("n_params", "val/acc", "seconds")])
def test_with_several_objectives_those_far_from_the_front_are_stopped(store, make_study, pruner, objectives):
    study = make_study(pruner, objectives)
    study.sampler = optuna.samplers.TPESampler(seed=0, n_startup_trials=2)
    points = {"large": (0.9, 1000.0), "small": (0.5, 10.0), "middle": (0.4, 500.0), "poor": (0.1, 2000.0)}
    lengths = {name: [] for name in points}
    for number in range(16):
        name = list(points)[number % 4]
        accuracy, n_params = points[name]
        trial = study.ask({"x": optuna.distributions.FloatDistribution(0, 1)})
        judge = Judge(store, "a study", number)
        lengths[name].append(evaluations_of(judge, accuracy, n_params=n_params))
        if judge.has_stopped(lengths[name][-1]):
            study.tell(trial, state=optuna.trial.TrialState.PRUNED)
        else:
            values = {"val/acc": accuracy, "n_params": n_params, "seconds": 1.0}
            study.tell(trial, [values[it] for it in objectives])
    assert lengths["large"] == lengths["small"] == [9] * 4
    assert lengths["middle"][-1] == lengths["poor"][-1] == 1


def test_what_was_said_of_an_evaluation_stands(store, make_study):
    """A trial that was killed and resumed reports evaluations again."""
    study = make_study("asha")
    study.ask()
    study.ask()
    assert evaluations_of(Judge(store, "a study", 0), 0.9) == 9
    poor = Judge(store, "a study", 1)
    assert poor(1, {"val/acc": 0.1})
    again = Judge(store, "a study", 1)
    assert again(1, {"val/acc": 0.1})
    assert again.has_stopped(1)
    assert not again.has_stopped(2)
    assert not Judge(store, "a study", 0)(3, {"val/acc": 0.9})


def test_a_storage_that_fails_costs_nothing(store, caplog):
    judge = Judge(store, "there is no such study", 0)
    assert not judge(1, {"val/acc": 0.5})
    assert not judge(2, {"val/acc": 0.5})
    assert not judge.has_stopped(1)
    assert len([record for record in caplog.records if "cannot be asked whether to stop" in record.message]) == 1


def test_only_trials_of_a_search_have_one(store):
    assert judge_of(SweepConfig(parent="abc"), store) is None
    assert judge_of(SweepConfig(parent="abc", study="a study", number=3), store) is not None
