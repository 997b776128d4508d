"""Files of the user that add to the tables, from the command line to a trained network."""

import hashlib
import os
from pathlib import Path

import pytest

from recurrent_cells.config import extensions
from recurrent_cells.config.validation import validated
from recurrent_cells.errors import UserError
from recurrent_cells.tables import CELLS, METRICS, OPTIMIZERS, SOURCES, TASKS
from recurrent_cells.trial.fingerprint import fingerprint
from tests.support import TINY, compose_config

WAVES = """
import numpy as np
from recurrent_cells.data.sources import Part, Source

class Waves(Source):
    name = "waves"
    defaults = {"batch_size": 10, "val_size": 20, "test_size": 20}

    def load(self, data):
        phase = np.linspace(0, 6, 12)[:, None] * np.ones(2)
        targets = np.arange(80) % 2
        return [Part(np.sin(phase * (1 + targets[:, None, None])), targets, "data=waves")]
"""
TASK = """
from recurrent_cells.tasks.classification import Classification
from recurrent_cells.tasks.metrics import Metric

class Sureness(Metric):
    name, is_share = "sureness", True

    def __call__(self, outputs, targets):
        return outputs.softmax(dim=-1).amax(dim=-1).double()

class Sure(Classification):
    name, metric = "sure", "sureness"
"""


def tables_of(**names):
    """A file with a class for each table and name."""
    lines = ["from recurrent_cells import tables"]
    lines += [f"class C{table}:\n  table, name = tables.{table}, {name!r}" for table, name in names.items()]
    return "\n".join(lines)


@pytest.fixture
def write(tmp_path):
    def write(content, name="mine.py"):
        path = tmp_path / name
        path.write_text(content)
        return path

    return write


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_file_adds_options_that_compose(write):
    path = write(tables_of(CELLS="my_cell", OPTIMIZERS="my_opt", TASKS="my_task") + WAVES)
    (given,) = extensions.load_given([f"extensions={path}"])
    choices = ("model=my_cell", "optimizer=my_opt", "optimizer.lr=0.5", "data=waves", "task=my_task")
    config = compose_config(given, *choices)
    lstm = compose_config("model=lstm")
    assert (config.model.cell, config.optimizer.name, config.data.name) == ("my_cell", "my_opt", "waves")
    assert {key for key in config.model if config.model[key] != lstm.model[key]} == {"cell", "options"}
    assert (config.data.batch_size, config.data.order) == (10, "shuffled")
    assert config.extensions == [str(path)]


def test_a_config_file_of_the_user_goes_before(write, tmp_path):
    extensions.load([str(write(tables_of(CELLS="my_cell")))])
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "my_cell.yaml").write_text("cell: my_cell\nhidden_size: 7\n")
    assert compose_config("model=my_cell", f"hydra.searchpath=[{tmp_path}]").model.hidden_size == 7


def test_paths_are_those_of_the_working_folder_and_may_have_any_character(write, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tables_of(TASKS="one"), "it's = [1], a.py")
    write(tables_of(TASKS="two"), "b.py")
    (given,) = extensions.load_given(["extensions=['it\\'s = [1], a.py', b.py]"])
    assert compose_config(given).extensions == [str(tmp_path / "it's = [1], a.py"), str(tmp_path / "b.py")]
    assert {"one", "two"} <= set(TASKS.names)
    write(tables_of(CELLS="three"), "c.py")
    used = validated(compose_config("extensions=[c.py]", "model.cell=three")).extensions
    assert used == [str(tmp_path / "c.py")]


def test_each_file_runs_once_in_a_process(write, tmp_path):
    path = write(f"with open({str(tmp_path / 'runs')!r}, 'a') as file:\n  file.write('.')\n" + tables_of(TASKS="one"))
    for _ in range(3):
        extensions.load([str(path)])
    assert (tmp_path / "runs").read_text() == "."


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "adds nothing; allowed are classes with a name and a base of this package"),
        ("class Cell:\n  name = 'x'", "adds nothing"),
        ("from recurrent_cells.tasks.per_step import PerStep", "adds nothing"),
        ("a = 1\nb = c", r", line 2: NameError: name 'c' is not defined"),
        ("a = (", ": SyntaxError: '(' was never closed"),
        ("import sys\nsys.exit(3)", ", line 2: SystemExit: 3"),
        (tables_of(CELLS="lstm"), "the name 'lstm' of CCELLS is taken; choose another"),
        (tables_of(METRICS="acc"), "the name 'acc' of CMETRICS is taken; choose another"),
        (tables_of(CELLS="a b"), "the name 'a b' of CCELLS is none: allowed are letters, digits and _"),
    ],
)
def test_files_that_will_not_do_are_refused_in_a_line(run_cli, write, content, said):
    path = write(content)
    answer = run_cli(f"extensions=[{path}]")
    assert (answer.code, answer.out, answer.err.count("\n")) == (2, "", 1)
    assert answer.err.startswith(f"extensions=[{path}]")
    assert said in answer.err


def test_a_missing_file_and_a_sweep_over_files_are_refused(run_cli, tmp_path):
    missing = run_cli("-m", f"extensions=[{tmp_path}/none.py]", "seed=0,1")
    assert (missing.code, missing.err) == (
        2,
        f"extensions=[{tmp_path}/none.py]: cannot be read (No such file or directory)\n",
    )
    several = run_cli("-m", "extensions=a.py,b.py")
    assert (several.code, several.err.count("\n")) == (2, 1)


@pytest.mark.parametrize("path", ["/dev/zero", "/proc", "a\x00b"])
def test_what_is_no_file_is_refused_without_being_read(run_cli, path):
    answer = run_cli(f"extensions=[{path}]")
    assert (answer.code, answer.out, answer.err.count("\n")) == (2, "", 1)


def test_a_file_too_large_for_code_is_refused(run_cli, tmp_path):
    with (tmp_path / "large.py").open("wb") as file:
        file.truncate(1 << 40)
    answer = run_cli(f"extensions=[{tmp_path}/large.py]")
    assert (answer.code, answer.err.count("\n")) == (2, 1)


def test_a_file_counts_in_the_trials_that_use_it(write):
    def trial(*overrides):
        return validated(compose_config(*overrides))

    plain = fingerprint(trial(), "digest")
    path = write(tables_of(CELLS="my_cell") + TASK)
    extensions.load([str(path)])
    given = f"extensions=[{path}]"
    assert fingerprint(trial(given), "digest") == plain
    assert trial(given).extensions == []
    used = {choice: fingerprint(trial(given, choice), "digest") for choice in ("model=my_cell", "task=sure")}
    assert trial(given, "task=sure").extensions == [str(path)]

    extensions.clear()
    moved = write(path.read_text(), "moved.py")
    extensions.load([str(moved)])
    assert {choice: fingerprint(trial(choice), "digest") for choice in used} == used

    extensions.clear()
    extensions.load([str(write(path.read_text() + "\n"))])
    for choice, before in used.items():
        assert fingerprint(trial(choice), "digest") != before


def test_a_recorded_file_is_loaded_only_as_it_was(write, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("store")
    path = write(tables_of(TASKS="one"))
    recorded = {"extensions.digest": digest(path)}
    write("raise SystemExit('run')")
    with pytest.raises(UserError, match=r"the file has changed since the run used it"):
        extensions.load_recorded([str(path)], recorded, elsewhere)
    path.unlink()
    with pytest.raises(UserError, match=r"cannot be read \(No such file"):
        extensions.load_recorded([str(path)], recorded, elsewhere)
    assert "one" not in TASKS
    write(tables_of(TASKS="one"))
    extensions.load_recorded([str(path)], recorded, elsewhere)
    assert "one" in TASKS


def test_a_recorded_file_that_lies_in_the_store_is_not_run(write):
    written = write("raise SystemExit('run')")
    path = written.parent / "artifacts" / "run" / "mine.py"
    path.parent.mkdir(parents=True)
    written.rename(path)
    with pytest.raises(UserError, match=r"lies among the files of runs"):
        extensions.load_recorded([str(path)], {"extensions.digest": digest(path)}, written.parent)


def test_a_process_of_a_sweep_takes_no_other_version_than_the_sweep_began_with(write, monkeypatch):
    path = write(tables_of(TASKS="one"))
    extensions.load([str(path)])
    inherited = os.environ[extensions.DIGESTS_VARIABLE]
    extensions.clear()
    monkeypatch.setenv(extensions.DIGESTS_VARIABLE, inherited)
    write(tables_of(TASKS="one") + "\n")
    with pytest.raises(UserError, match=r"the file has changed since the sweep began"):
        extensions.load([str(path)])


def test_what_is_forgotten_is_gone_from_every_table(write):
    extensions.load([str(write(tables_of(CELLS="a", SOURCES="a", TASKS="a", METRICS="a", OPTIMIZERS="a")))])
    extensions.clear()
    assert not any("a" in table for table in (CELLS, SOURCES, TASKS, METRICS, OPTIMIZERS))


@pytest.mark.slow
def test_a_trial_with_a_users_data_is_recorded_reproduced_and_used(run_cli, write, store_file, runs):
    path = write(WAVES)
    small = [it for it in TINY if not it.startswith("data")]
    answer = run_cli(f"extensions=[{path}]", "data=waves", *small)
    assert answer.code == 0, answer.err
    (run,) = runs()
    assert run.data.tags["extensions.digest"] == digest(path)
    assert run.data.params["extensions"] == f"['{path}']"

    from recurrent_cells.inference.trained import find_winner, load_trained
    from recurrent_cells.tracking.store import open_store

    extensions.clear()
    again = run_cli(f"reproduce={run.info.run_id}")
    assert "the same to the bit" in again.out
    extensions.clear()
    path.write_text("")
    changed = run_cli(f"reproduce={run.info.run_id}")
    assert (changed.code, changed.err.count("\n")) == (2, 1)
    store = open_store("recurrent-cells")
    with pytest.raises(UserError, match="the file has changed"):
        load_trained(store, find_winner(store, run.info.run_id))
