import pytest

from recurrent_cells.config.schema import SweepConfig
from recurrent_cells.trial.judge import Judge, judge_of


def evaluations_of(judge, accuracy, most=9):
    """How many evaluations a trial has whose accuracy never changes."""
    return next((count for count in range(1, most + 1) if judge(count, accuracy)), most)


@pytest.mark.parametrize("pruner", ["median", "asha", "hyperband"])
def test_poor_trials_are_stopped_and_good_ones_are_not(store, open_study, pruner):
    study = open_study(pruner=pruner, startup_trials=2)
    lengths = {0.9: [], 0.1: []}
    for number in range(8):
        accuracy = 0.1 if number % 2 else 0.9
        assert study.ask(set(range(8)), also_new=True).number == number
        lengths[accuracy].append(evaluations_of(Judge(store, study.name, number), accuracy))
        study.tell(number, [accuracy])
    assert lengths[0.9] == [9, 9, 9, 9]
    assert min(lengths[0.1]) < 9


def test_what_was_said_of_an_evaluation_stands(store, open_study):
    """A trial that was killed and resumed reports evaluations again."""
    study = open_study(pruner="asha")
    study.ask(set(), also_new=True)
    study.ask({0}, also_new=True)
    assert evaluations_of(Judge(store, study.name, 0), 0.9) == 9
    poor = Judge(store, study.name, 1)
    assert poor(1, 0.1)
    again = Judge(store, study.name, 1)
    assert again(1, 0.1)
    assert again.has_stopped(1)
    assert not again.has_stopped(2)
    assert not Judge(store, study.name, 0)(3, 0.9)


def test_a_storage_that_fails_costs_nothing(store, caplog):
    judge = Judge(store, "there is no such study", 0)
    assert not judge(1, 0.5)
    assert not judge(2, 0.5)
    assert not judge.has_stopped(1)
    assert len([record for record in caplog.records if "cannot be asked whether to stop" in record.message]) == 1


def test_only_trials_of_a_search_have_one(store):
    assert judge_of(SweepConfig(parent="abc"), store) is None
    assert judge_of(SweepConfig(parent="abc", study="a study", number=3), store) is not None
