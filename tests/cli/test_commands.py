"""The script `recurrent-cells`, and what its commands have in common."""

import os
import subprocess
import sys
from importlib import import_module

import pytest

from recurrent_cells.cli import COMMANDS, ui
from recurrent_cells.cli.arguments import port_of
from recurrent_cells.tables import CELLS
from src import REPOSITORY
from tests.support import python, refusal

SCRIPT = """
import sys, recurrent_cells
sys.argv[0] = "recurrent-cells"
recurrent_cells.__path__.append({repository!r})
from recurrent_cells.cli import main
main()
"""


def script(*arguments, **environment):
    """What the installed script does, without an installation."""
    env = {key: value for key, value in os.environ.items() if not key.startswith("RECURRENT_CELLS")}
    return subprocess.run(
        [sys.executable, "-c", SCRIPT.format(repository=str(REPOSITORY)), *arguments],
        env={**env, "PYTHONPATH": str(REPOSITORY / "src"), **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_help_has_a_line_for_each_command():
    shown = script("--help")
    assert (shown.returncode, shown.stderr) == (0, "")
    for name in COMMANDS:
        (line,) = [line for line in shown.stdout.splitlines() if line.split()[:1] == [name]]
        assert len(line.split()) > 3
    nothing = script()
    assert (nothing.returncode, nothing.stdout, nothing.stderr) == (2, "", shown.stdout)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("trian", "trian: no such command; did you mean train?"),
        ("quux", f"quux: no such command; allowed are {', '.join(COMMANDS)}"),
    ],
)
def test_an_unknown_command_is_bad_input(given, said):
    answer = script(given)
    assert (answer.returncode, answer.stdout, answer.stderr) == (2, "", f"{said}\n")


def test_messages_name_the_command_as_it_was_called():
    assert script("train", "+quux=1").stderr == "+quux: no such key; recurrent-cells train --help shows them all\n"
    door = python("-m", "src.train", "+quux=1")
    assert door.stderr == "+quux: no such key; python -m src.train --help shows them all\n"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("recurrent-cells tra", "train"),
        ("recurrent-cells report sw", ""),
        ("recurrent-cells train mod", "model. model="),
        ("recurrent-cells train -m model=gru data=mn", "data=mnist data=mnist1d data=mnist_5k"),
    ],
)
def test_a_shell_completes_commands_and_the_keys_of_train(line, words):
    answer = script("-sc", "query=bash", COMP_LINE=line)
    assert (answer.returncode, answer.stdout.strip()) == (0, words)


def test_completion_is_installed_for_the_script_and_doors_answer_too():
    installed = script("train", "-sc", "install=bash")
    assert installed.stdout.endswith("-F hydra_bash_completion recurrent-cells\n")
    asked = python("-m", "src.train", "-sc", "query=bash", env={"COMP_LINE": "train.py model="})
    assert asked.stdout.split() == [f"model={name}" for name in CELLS.names]


@pytest.mark.parametrize("arguments", [["5001"], ["port=5001"]])
def test_a_port_may_be_named_as_keys_are(arguments):
    assert port_of("ui", arguments, 5000) == 5001


@pytest.mark.parametrize("arguments", [["99999"], ["0"], ["x"], ["port=x"], ["²"], ["5000", "5001"]])
def test_the_ui_has_no_such_port(arguments, capsys):
    said = refusal(ui.main, arguments, capsys)
    assert said == f"python -m src.ui {' '.join(arguments)}: allowed is one port, a number from 1 to 65535\n"


def test_overrides_may_stand_on_both_sides_of_a_flag(run_cli, store_file, idx_folder):
    before = ("data=idx", f"data.root={idx_folder}", "data.val_size=10", "data.batch_size=8", "model=lstm")
    answer = run_cli(*before, "-m", "seed=0,1", "sweep.dry_run=true")
    assert (answer.code, answer.err) == (0, "")
    assert "2 trials, 0 to be left out, 2 to run" in answer.out


@pytest.mark.parametrize("flag", ["--quux", "-z", "--cfg", "--cfg=quux"])
def test_a_flag_that_will_not_do_is_refused_in_a_line(run_cli, flag):
    answer = run_cli("seed=1", flag)
    assert (answer.code, answer.out, answer.err.count("\n")) == (2, "", 1)
    assert answer.err.endswith("; python -m src.train --help shows what there is\n")


def test_help_answers_for_one_key_and_says_which_was_meant(run_cli):
    answer = run_cli("--help", "model.hidden_size")
    assert (answer.code, answer.out.splitlines()[0]) == (0, "model.hidden_size: features of a hidden state")
    answer = run_cli("--help", "model.hiden_size")
    assert (answer.code, answer.out) == (2, "")
    assert answer.err == "model.hiden_size: no such key; did you mean model.hidden_size?\n"


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("report", []),
        ("check", []),
        ("watch", ["0"]),
        ("serve", ["0"]),
        ("stop", ["sweep=latest"]),
        ("evaluate", ["run=best"]),
        ("export", ["run=best", "format=torch"]),
    ],
)
def test_a_command_that_reads_runs_says_that_there_are_none_and_makes_no_store(
    tmp_path, monkeypatch, capsys, name, line
):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/absent/mlflow.db")
    main = import_module(f"recurrent_cells.cli.{name}").main
    assert "there are no runs yet" in refusal(main, line, capsys)
    assert list(tmp_path.iterdir()) == []
