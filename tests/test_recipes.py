"""The published recipes as configs: what each is, without training it."""

import pytest

from recurrent_cells.config.validation import validated
from recurrent_cells.models.classifier import build_classifier, num_parameters
from recurrent_cells.training.schedule import Schedule
from src import REPOSITORY
from tests.support import compose_config, write_data_set

NAMES = sorted(path.stem for path in (REPOSITORY / "conf" / "experiment").glob("*.yaml"))
TRAIN_SIZES = {"random": 55_000, "tail": 50_000}


def recipe(name, *overrides):
    return validated(compose_config(f"experiment={name}", *overrides))


def test_all_eight_are_there_and_what_three_of_them_were_compared_with():
    assert NAMES == [
        "keras_cnn_rnn_last_step",
        "keras_cnn_rnn_per_step",
        "keras_lstm",
        "keras_lstm_simple_rnn",
        "keras_rnn_last_step",
        "keras_rnn_per_step",
        "keras_simple_rnn",
        "keras_simple_rnn_as_published",
        "mnist1d_gru",
        "tf_gru_stacked",
        "tf_lstm_projected",
    ]


@pytest.mark.parametrize(
    ("name", "n_params"),
    [
        ("keras_simple_rnn", 4460),
        ("keras_simple_rnn_as_published", 4570),
        ("keras_lstm", 16310),
        ("keras_lstm_simple_rnn", 4460),
        ("keras_rnn_last_step", 4460),
        ("keras_rnn_per_step", 4460),
        ("keras_cnn_rnn_per_step", 80 + 584 + 4460),
        ("tf_lstm_projected", (28 * 128 + 128) + (256 * 512 + 512) + 1290),
        ("tf_gru_stacked", (228 * 600 + 600) + 2 * (400 * 600 + 600) + 2010),
    ],
)
def test_parameters(name, n_params):
    assert num_parameters(build_classifier(recipe(name).model, 28, 10, seed=0)) == n_params


def test_the_recipe_of_mnist_1d_has_a_weight_of_the_head_for_each_output_of_each_step():
    network = build_classifier(recipe("mnist1d_gru").model, 1, 10, seed=0, num_steps=40)
    assert num_parameters(network) == 2 * 3 * (6 * 1 + 6 * 6 + 2 * 6) + 40 * 12 * 10 + 10


@pytest.mark.parametrize(
    ("name", "steps"),
    [
        ("keras_simple_rnn", 4001),
        ("keras_simple_rnn_as_published", 4001),
        ("keras_lstm", 5000),
        ("keras_lstm_simple_rnn", 5000),
        ("keras_rnn_last_step", 200 * 500),
        ("keras_cnn_rnn_last_step", 200 * 500),
        ("keras_rnn_per_step", 200 * 500),
        ("keras_cnn_rnn_per_step", 200 * 500),
        ("tf_lstm_projected", 781),
        ("tf_gru_stacked", 3 * 859),
        ("mnist1d_gru", 6000),
    ],
)
def test_budgets(name, steps):
    config = recipe(name)
    train_size = 60_000 if config.data.val_size == 0 else TRAIN_SIZES[config.data.split]
    assert Schedule.from_config(config.trainer, train_size, config.data.batch_size).total_steps == steps


@pytest.mark.parametrize(
    "name", ["keras_simple_rnn", "keras_simple_rnn_as_published", "keras_lstm", "keras_lstm_simple_rnn"]
)
def test_recipes_that_watch_the_test_images_train_on_all_and_score_the_last_step(name):
    config = recipe(name)
    assert (config.data.validate_on, config.data.val_size, config.trainer.test_with) == ("test", 0, "last")
    assert config.data.order == "file"
    assert config.trainer.eval_at_start


def test_long_recipes_are_short_unless_full():
    assert recipe("keras_rnn_per_step").trainer.max_epochs == 200
    assert recipe("keras_rnn_per_step", "full=false").trainer.max_epochs < 200
    assert recipe("tf_gru_stacked", "full=false").trainer.max_epochs == 3


def test_epochs_that_are_asked_for_go_before_those_of_the_recipe():
    assert recipe("keras_rnn_per_step", "full=false", "trainer.max_epochs=3").trainer.max_epochs == 3
    assert recipe("keras_rnn_per_step", "trainer.max_epochs=3").trainer.max_epochs == 3


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("cell", ["simple_rnn", "lstm", "gru"])
def test_any_cell_can_take_the_place_of_a_recipes_own(name, cell):
    assert recipe(name, f"model.cell={cell}").model.cell == cell


@pytest.mark.parametrize("name", NAMES)
def test_each_file_opens_with_what_it_reproduces(name):
    text = (REPOSITORY / "conf" / "experiment" / f"{name}.yaml").read_text()
    header = [line for line in text.splitlines() if line.startswith("#")]
    for word in ("# Recipe:", "# Published:", "# Reached:", "# Command: python -m src.train experiment=" + name):
        assert any(line.startswith(word) for line in header), word
    assert recipe(name).recipe == name


@pytest.mark.slow
@pytest.mark.parametrize(("full", "said"), [("false", True), ("true", False)])
def test_a_sweep_says_which_recipes_are_shorter_than_published(run_cli, store_file, tmp_path, full, said):
    folder = write_data_set(tmp_path / "stripes", train=240, test=60)
    small = ("data=idx", f"data.root={folder}", "data.batch_size=20", "data.val_size=40", "sweep.dry_run=true")
    answer = run_cli("-m", "experiment=keras_rnn_per_step,tf_gru_stacked", f"full={full}", *small)
    assert answer.code == 0
    assert ("shorter than published: keras_rnn_per_step (5 epochs); full=true" in answer.err) is said
