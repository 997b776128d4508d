"""The problems as configs: what each asks of any model, without training it."""

import pytest

from recurrent_cells.config.validation import validated
from recurrent_cells.data.splits import load_splits
from recurrent_cells.trial.fingerprint import fingerprint
from recurrent_cells.trial.spec import trial_task
from src import REPOSITORY
from tests.support import compose_config

NAMES = sorted(path.stem for path in (REPOSITORY / "conf" / "problem").glob("*.yaml"))


def problem(name, *overrides):
    return validated(compose_config(f"problem={name}", *overrides))


def test_all_eight_are_there():
    made = {"adding", "associative_recall", "parity", "selective_copy"}
    assert {*NAMES} == made | {"japanese_vowels", "mnist1d", "mnist_pixels", "mnist_rows"}


@pytest.mark.parametrize("name", NAMES)
def test_a_problem_leaves_the_model_and_the_learning_rate_alone(name):
    alone, asked = validated(compose_config("model=gru")), problem(name, "model=gru")
    asked.model.readout = alone.model.readout
    assert (asked.model, asked.optimizer) == (alone.model, alone.optimizer)


@pytest.mark.parametrize("name", sorted({*NAMES} - {"japanese_vowels"}))
def test_data_and_readout_of_a_problem_go_together(name):
    config = problem(name, "model=gru")
    splits = load_splits(config.data)
    assert trial_task(config, splits).every_step == (config.model.readout == "every")
    assert splits.num_outputs == {"adding": 1, "associative_recall": 8, "parity": 2, "selective_copy": 14}.get(name, 10)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_given_goes_before_what_a_problem_says(name):
    config = problem(name, "trainer.max_epochs=3", "data.batch_size=7", "model.hidden_size=5")
    assert (config.trainer.max_epochs, config.data.batch_size, config.model.hidden_size) == (3, 7, 5)


@pytest.mark.parametrize("name", NAMES)
def test_each_file_says_in_one_line_what_is_asked(name):
    package, about, rest, *_ = (REPOSITORY / "conf" / "problem" / f"{name}.yaml").read_text().splitlines()
    assert (package, about[:2], rest) == ("# @package _global_", "# ", "defaults:")


def test_rows_of_digits_are_the_trial_of_a_bare_command():
    assert fingerprint(problem("mnist_rows"), "") == fingerprint(validated(compose_config()), "")


def test_problems_can_be_swept(run_cli, store_file):
    answer = run_cli("-m", "problem=adding,parity", "model=gru,lstm", "data.examples=2500", "sweep.dry_run=true")
    assert answer.code == 0, answer.err
    trials = [line.split()[1:3] for line in answer.out.splitlines() if line.split()[0].endswith("-s0")]
    assert trials == [["adding", "gru"], ["adding", "lstm"], ["parity", "gru"], ["parity", "lstm"]]


def test_missing_files_are_named_with_the_way_to_get_them(run_cli, tmp_path):
    answer = run_cli("problem=japanese_vowels", f"data.root={tmp_path}")
    assert answer.code == 2
    (line,) = answer.err.splitlines()
    assert line.startswith(f"data.dataset=JapaneseVowels: no JapaneseVowels_TRAIN.ts in {tmp_path}; ")
    assert line.endswith("src.series fetches some")
