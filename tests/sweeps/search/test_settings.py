import pytest

from recurrent_cells.errors import UserError
from recurrent_cells.sweeps.search import settings
from recurrent_cells.sweeps.search.settings import SearchSettings, checked


@pytest.mark.slow
def test_the_defaults_will_do():
    assert checked(SearchSettings()) == SearchSettings()


def test_by_several_objectives_trials_are_judged_later_and_more_gently():
    def judged(**given):
        found = SearchSettings(pruner="asha", **given).settled(27)
        return found.min_evaluations, found.reduction_factor

    assert judged() == (1, 3)
    assert judged(objectives=("val/acc", "n_params")) == (3, 2)
    assert judged(objectives=("val/acc", "n_params"), sampler="random") == (4, 2)
    assert judged(objectives=("val/acc", "n_params"), min_evaluations=2, reduction_factor=4) == (2, 4)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"n_trials": 0}, "hydra.sweeper.n_trials=0: allowed is an integer from 1 to 100000"),
        ({"sampler": "foo"}, "hydra.sweeper.sampler=foo: allowed is one of tpe, random, cmaes, grid"),
        ({"pruner": "foo"}, "hydra.sweeper.pruner=foo: allowed is one of none, median, asha, hyperband"),
        ({"objectives": ()}, "hydra.sweeper.objectives=[]: allowed is a list of val/METRIC, n_params, seconds, "),
        ({"objectives": ("test/acc",)}, "hydra.sweeper.objectives=[test/acc]: allowed is a list of val/METRIC, "),
        ({"seeds": 0}, "hydra.sweeper.seeds=0: allowed is an integer from 1 to 100"),
        ({"reduction_factor": 1}, "hydra.sweeper.reduction_factor=1: allowed is an integer of at least 2"),
        (
            {"pruner": "asha", "objectives": ("seconds", "n_params")},
            "hydra.sweeper.pruner=asha: a trial is pruned by its validation curve too; give val/METRIC among hydra",
        ),
        (
            {"pruner": "hyperband", "objectives": ("val/acc", "n_params")},
            "hydra.sweeper.pruner=hyperband: has one objective; give hydra.sweeper.objectives=[val/acc], or pruner=",
        ),
        (
            {"sampler": "cmaes", "objectives": ("val/acc", "n_params")},
            "hydra.sweeper.sampler=cmaes: has one objective; give hydra.sweeper.objectives=[val/acc] or sampler=tpe",
        ),
    ],
)
def test_what_will_not_do(given, words):
    with pytest.raises(UserError) as caught:
        checked(SearchSettings(**given))
    assert str(caught.value).startswith(words)


def test_a_package_that_is_missing(monkeypatch):
    monkeypatch.setattr(settings, "find_spec", lambda name: None)
    with pytest.raises(UserError, match="sampler=cmaes: needs the package cmaes, which the extra cmaes installs"):
        checked(SearchSettings(sampler="cmaes"))


def test_all_faults_are_told_together():
    with pytest.raises(UserError) as caught:
        checked(SearchSettings(n_trials=0, sampler="foo"))
    assert len(str(caught.value).splitlines()) == 2
