import os
from multiprocessing import get_context

import optuna
import pytest
from optuna.trial import TrialState

from recurrent_cells.sweeps.search import study as studies
from recurrent_cells.sweeps.search.study import values_of
from recurrent_cells.trial.study_storage import STORAGE, make_storage


def work(study, count, own=None):
    """Ask and tell so often, one after the other; what was proposed."""
    own = set() if own is None else own
    proposed = []
    for _ in range(count):
        proposal = study.ask(own, also_new=True)
        own.add(proposal.number)
        proposed.append(proposal.values)
        study.tell(proposal.number, [proposal.values["model.hidden_size"] / 10])
    return proposed


def dies_while(study, action):
    """Do something in a process that then is gone."""
    process = get_context("fork").Process(target=action)
    process.start()
    process.join()


def kill_after(monkeypatch, target, name):
    """Have a process end right after a call."""
    original = getattr(target, name)

    def call(*arguments, **named):
        original(*arguments, **named)
        os._exit(9)

    monkeypatch.setattr(target, name, call)


@pytest.mark.slow
@pytest.mark.parametrize("sampler", ["tpe", "random", "cmaes"])
def test_a_search_gone_on_with_proposes_what_an_undisturbed_one_does(store, space, open_study, sampler):
    undisturbed = work(open_study(sampler=sampler), 7)
    (store.folder / STORAGE).unlink()
    disturbed = []
    for count in (2, 3, 2):
        disturbed += work(open_study(sampler=sampler), count)
    assert disturbed == undisturbed
    assert len({tuple(values.values()) for values in undisturbed}) == 7


@pytest.mark.parametrize("sampler", ["tpe", "random"])
def test_a_search_whose_study_is_lost_goes_on_as_an_undisturbed_one(store, space, open_study, sampler):
    undisturbed = work(open_study(sampler=sampler), 7)
    (store.folder / STORAGE).unlink()
    study = open_study(sampler=sampler)
    study.restore([space.values(space.texts(values)) for values in undisturbed[:4]])  # as the plan keeps them
    assert work(study, 7) == undisturbed


def test_values_lie_in_their_ranges_and_the_search_ends(open_study):
    study = open_study()
    for values in work(study, 8):
        assert values["model.cell"] in ("lstm", "gru")
        assert values["model.hidden_size"] in range(4, 9)
        assert 1e-4 <= values["optimizer.lr"] <= 1e-1
    assert study.ask(set(), also_new=True) is None
    assert study.settled == 8
    assert len(work(open_study(n_trials=10), 2)) == 2


def test_a_trial_whose_process_is_gone_is_given_to_the_next_with_its_curve(open_study):
    def begin():
        proposal = open_study().ask(set(), also_new=True)
        open_study().report(proposal.number, {1: [0.5]})

    study = open_study()
    dies_while(study, begin)
    assert study.others_at_work(set()) == 0
    proposal = study.ask(set(), also_new=True)
    assert (proposal.number, proposal.point) == (0, 0)
    assert study.points()[0].intermediate_values == {1: 0.5}
    assert study.ask({0}, also_new=True).point == 1


def test_a_trial_of_a_living_process_is_left_to_it(open_study, monkeypatch):
    study = open_study()
    proposal = study.ask(set(), also_new=True)
    monkeypatch.setattr(studies, "is_this_process", lambda owner: False)
    assert study.others_at_work(set()) == 1
    assert study.ask(set(), also_new=False) is None
    assert study.ask(set(), also_new=True).number != proposal.number


@pytest.mark.slow
@pytest.mark.parametrize("last", ["set_user_attr", "suggest_categorical", "suggest_int"])
def test_a_kill_while_a_trial_is_made_changes_nothing(store, open_study, monkeypatch, last):
    undisturbed = work(open_study(), 5)
    (store.folder / STORAGE).unlink()
    disturbed = work(open_study(), 3)
    with monkeypatch.context() as patch:
        kill_after(patch, optuna.trial.Trial, last)
        dies_while(None, lambda: open_study().ask(set(), also_new=True))
    disturbed += work(open_study(), 2)
    assert disturbed == undisturbed


@pytest.mark.slow
def test_two_processes_never_ask_for_more_than_there_are_to_be(open_study):
    study = open_study(n_trials=6)
    fork = get_context("fork")

    def ask_all():
        own: set[int] = set()
        while (proposal := open_study(n_trials=6).ask(own, also_new=True)) is not None:
            own.add(proposal.number)
            open_study(n_trials=6).tell(proposal.number, [0.5])

    processes = [fork.Process(target=ask_all) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0]
    assert list(study.points()) == list(range(6))
    assert study.settled == 6


def test_a_failed_point_is_tried_again_with_the_same_values(open_study):
    study = open_study(n_trials=2)
    first = study.ask(set(), also_new=True)
    study.tell_failed(first.number)
    study.queue_failed()
    study.queue_failed()
    again = study.ask({first.number}, also_new=True)
    assert (again.point, again.values) == (first.point, first.values)
    study.tell(again.number, [0.5])
    assert study.points()[0].state == TrialState.COMPLETE
    assert study.ask({0, 1}, also_new=True).point == 1
    assert study.ask({0, 1, 2}, also_new=True) is None


def test_a_lost_study_is_restored_point_by_point(store, open_study):
    before = work(open_study(), 4)
    (store.folder / STORAGE).unlink()
    study = open_study()
    study.restore(before[:2])  # as a failure cuts it short
    study.restore(before)
    study.restore(before)
    assert [values_of(trial) for trial in study.points().values()] == before
    assert study.settled == 0
    assert work(study, 4) == before


def test_a_grid_is_tried_once(open_study, space):
    space.ranges.pop("optimizer.lr")
    space.ranges["model.hidden_size"] = type(space.ranges["model.hidden_size"])(4, 8, integer=True, step=4)
    study = open_study(sampler="grid", n_trials=100)
    assert study.size == 4
    found = work(study, 4)
    assert sorted(found, key=str) == sorted(space.grid(0), key=str)
    assert study.ask(set(range(4)), also_new=True) is None


def test_several_objectives_are_told_together(open_study):
    study = open_study(objectives=("val/acc", "n_params"))
    for _ in range(6):
        proposal = study.ask(set(), also_new=True)
        study.tell(proposal.number, [0.5, float(proposal.values["model.hidden_size"])])
    assert study.settled == 6


def test_a_storage_is_made_whole_or_not_at_all(store, storage, monkeypatch):
    storage.unlink()
    with monkeypatch.context() as patch:
        kill_after(patch, studies.optuna.storages.RDBStorage, "__init__")
        dies_while(None, lambda: make_storage(store.folder))
    assert not (store.folder / STORAGE).exists()
    make_storage(store.folder)
    assert (store.folder / STORAGE).exists()
