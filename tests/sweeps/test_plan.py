import pytest

from recurrent_cells.config.validation import validated
from recurrent_cells.errors import UserError
from recurrent_cells.models.classifier import build_classifier, num_parameters
from recurrent_cells.sweeps.grid import Point
from recurrent_cells.sweeps.plan import plan_trials
from tests.support import compose_config


@pytest.fixture
def point(idx_folder):
    """`point("seed=1")` is that point of a grid over the tiny data set."""

    def make(*overrides: str) -> Point:
        few = ("data=idx", f"data.root={idx_folder}", "data.val_size=10", "data.batch_size=10", "trainer=cpu")
        varied = dict(override.split("=") for override in overrides)
        return Point(overrides, varied, validated(compose_config(*few, *overrides)))

    return make


def test_a_trial_is_planned_once(point):
    trials = plan_trials([point("seed=0"), point("seed=1"), point("seed=0"), point("sweep.retries=2")])
    assert [trial.label for trial in trials] == ["seed=0", "seed=1"]
    assert len({trial.fingerprint for trial in trials}) == 2
    assert len({trial.shape for trial in trials}) == 1


def test_a_trial_without_choices_goes_by_its_name(point):
    assert [trial.label for trial in plan_trials([point()])] == ["lstm-h128x1-s0"]


@pytest.mark.parametrize("extra", [("model=gru",), ("model=lstm", "model.init=keras"), ("model.bidirectional=true",)])
def test_parameters_are_counted_without_making_them(point, extra):
    given = point(*extra)
    (trial,) = plan_trials([given])
    assert trial.n_params == num_parameters(build_classifier(given.config.model, 5, 4, seed=0))


def test_the_faults_of_all_trials_are_told_together(point):
    with pytest.raises(UserError) as caught:
        plan_trials([point("seed=0"), point("data.batch_size=51"), point("data.batch_size=60"), point("seed=1")])
    assert [line.split(":")[0] for line in str(caught.value).splitlines()] == [
        "data.batch_size=51",
        "data.batch_size=60",
    ]


def test_a_sweep_without_trials_is_refused():
    with pytest.raises(UserError, match="no trials: a range or a list of choices is empty"):
        plan_trials([])


def test_larger_and_longer_is_more_work(point):
    small, larger, longer = plan_trials(
        [point("model.hidden_size=8"), point("model.hidden_size=9"), point("trainer.max_epochs=16")]
    )
    assert 0 < small.work < larger.work < longer.work


def test_a_trial_that_finds_its_size_is_planned_as_the_one_that_is_given_it(point):
    given = point("model=gru", "model.hidden_size=8")
    wanted = num_parameters(build_classifier(given.config.model, 5, 4, seed=0))
    (trial,) = plan_trials([point("model=gru", f"model.match=parameters:{wanted}"), given])
    assert (trial.config.model.hidden_size, trial.config.model.match, trial.name) == (8, None, "gru-h8x1-s0")
    assert trial.overrides[-2:] == ("model.hidden_size=8", "model.match=null")
    assert trial.with_seed(3).config.model.hidden_size == 8
