"""The problems as configs: what each asks of any model, without training it."""

import pytest

from recurrent_cells.config.validation import validated
from recurrent_cells.tables import CELLS
from recurrent_cells.trial.fingerprint import fingerprint
from src import REPOSITORY
from tests.support import compose_config

NAMES = sorted(path.stem for path in (REPOSITORY / "conf" / "problem").glob("*.yaml"))


def problem(name, *overrides):
    return validated(compose_config(f"problem={name}", *overrides))


def test_all_six_are_there():
    assert NAMES == ["adding", "japanese_vowels", "mnist1d", "mnist_rows", "parity", "selective_copy"]


@pytest.mark.parametrize("name", NAMES)
def test_a_problem_leaves_the_model_and_the_learning_rate_alone(name):
    for cell in CELLS.names:
        alone, asked = validated(compose_config(f"model={cell}")), problem(name, f"model={cell}")
        asked.model.readout = alone.model.readout
        assert (asked.model, asked.optimizer) == (alone.model, alone.optimizer)


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


def test_a_sweep_over_problems_trains_each_with_its_own_readout(run_cli, store_file, runs):
    small = ("data.examples=60", "data.val_size=20", "data.batch_size=20", "data.length=16", "trainer.max_epochs=1")
    names = ("problem=adding,parity,selective_copy", "model.hidden_size=3", "registry=false", "sweep.report=false")
    answer = run_cli("-m", *names, *small, "hydra.launcher.slots=1")
    assert answer.code == 0, answer.err
    readouts = {run.data.params["data.name"]: run.data.params["model.readout"] for run in runs() if run.data.params}
    assert readouts == {"adding": "last", "parity": "every", "selective_copy": "every"}


def test_missing_files_are_named_with_the_way_to_get_them(run_cli, tmp_path):
    answer = run_cli("problem=japanese_vowels", f"data.root={tmp_path}")
    assert answer.code == 2
    (line,) = answer.err.splitlines()
    assert line.startswith(f"data.dataset=JapaneseVowels: no JapaneseVowels_TRAIN.ts in {tmp_path}; ")
    assert line.endswith("src.series fetches some")
