"""Every command of the README, the long ones as a dry run."""

import re
import shlex
import subprocess
from importlib import import_module

import pytest
from PIL import Image

from src import REPOSITORY
from tests.support import train_tiny, write_data_set

README = (REPOSITORY / "README.md").read_text()
BLOCKS = re.findall(r"```bash\n(.*?)```", README, flags=re.DOTALL)
COMMANDS = [line for block in BLOCKS for line in block.splitlines() if line.strip()]
IN_TABLES = re.findall(r"`(python -m src\.train [^`]*[a-z]+=[^`]*)`", README)
MAKE = [command for command in COMMANDS if command.startswith("make ")]
TRAIN = [command for command in COMMANDS if command.startswith("python -m src.train")]
ON_A_TABLE = [command for command in TRAIN if "data=table" in command]
PREDICT = [command for command in COMMANDS if command.startswith("python -m src.predict")]


def dry_make(command):
    """What a make command would run."""
    arguments = shlex.split(command)
    result = subprocess.run(["make", "-n", *arguments[1:]], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_every_command_is_of_a_kind_tested_here():
    assert len(COMMANDS) >= 6
    assert sorted(COMMANDS) == sorted(MAKE + TRAIN + PREDICT)


@pytest.mark.parametrize("command", MAKE)
def test_make_knows_its_targets(command):
    assert "python" in dry_make(command)


def test_inline_commands_of_make_are_targets():
    for target in re.findall(r"`make ([\w-]+)`", README):
        dry_make(f"make {target}")


def in_small(arguments, folder):
    """The same command on a tiny data set where it asks for one the reader must have."""
    if not any(argument == "data=mnist" or argument.startswith("experiment=") for argument in arguments):
        return arguments
    write_data_set(folder, train=240, test=60)
    kept = [argument for argument in arguments if argument != "data=mnist" and not argument.startswith("data.root=")]
    return [*kept, "data=idx", f"data.root={folder}", "data.batch_size=20", "data.val_size=40"]


def train_commands():
    yield from (command for command in TRAIN if command not in ON_A_TABLE)
    yield from IN_TABLES
    for command in MAKE:
        yield from re.findall(r"python -m src\.train.*", dry_make(command))


@pytest.mark.parametrize("command", list(train_commands()))
def test_train_commands_run(command, run_cli, store_file, tmp_path):
    arguments = in_small(shlex.split(command)[3:], tmp_path / "stripes")
    if "-m" in arguments:
        answer = run_cli(*arguments, "sweep.dry_run=true")
        assert "nothing started" in answer.out
    else:
        answer = run_cli(*arguments, "trainer=debug", "trainer.max_steps=4", "trainer.eval_every=2")
        assert "test/acc" in answer.out
    assert answer.code == 0, answer.err


def write_readings(path, count=40):
    """Series of 5 to 9 steps whose label is the shape of the curve."""
    lines = ["id,t,level,slope,label"]
    for series in range(count):
        label = ("rising", "falling")[series % 2]
        for step in range(5 + series % 5):
            level = step * (1 if label == "rising" else -1) + 0.1 * (series % 7)
            lines.append(f"{series},{step},{level:.1f},{0.2 * step:.1f},{label}")
    path.write_text("\n".join(lines))


def test_a_users_table_comes_to_a_verdict_and_to_answers(run_cli, store_file, tmp_path, monkeypatch, capsys):
    """The three commands, as they stand but for a smaller network and budget."""
    ((train,), (predict,)) = ON_A_TABLE, PREDICT
    write_readings(tmp_path / "readings.csv")
    (tmp_path / "new.csv").write_text("level,slope\n0,0\n-1,0.2\n-2,0.4\n-3,0.6\n-4,0.8")
    monkeypatch.chdir(tmp_path)
    small = ("data.batch_size=8", "model.hidden_size=8", "trainer=cpu", "trainer.max_epochs=8", "optimizer.lr=0.03")
    answer = run_cli(*shlex.split(train)[3:], *small, "sweep.report=false", "registry=false")
    assert answer.code == 0, answer.err
    assert "over 3 seeds" in answer.out
    import_module("recurrent_cells.cli.report").main([])
    assert "SimpleRNN" in capsys.readouterr().out
    import_module("recurrent_cells.cli.predict").main(shlex.split(predict)[3:])
    assert "falling" in capsys.readouterr().out


WITH_A_NETWORK = re.findall(r"`python -m src\.(evaluate|predict|export) ([^`]*)`", README)


@pytest.mark.parametrize(("entry", "arguments"), WITH_A_NETWORK)
def test_commands_on_a_trained_network_run(entry, arguments, store_file, idx_folder, tmp_path, monkeypatch, capsys):
    """On a tiny network, which is no champion."""
    train_tiny(idx_folder)
    (tmp_path / "digits").mkdir()
    Image.new("L", (5, 6), 200).save(tmp_path / "digits" / "one.png")
    monkeypatch.chdir(tmp_path)
    best = arguments.replace("run=champion", "run=best")
    import_module(f"recurrent_cells.cli.{entry}").main(shlex.split(best))
    assert capsys.readouterr().out


def test_files_and_pictures_it_names_are_there():
    for target in re.findall(r"\]\(([^)]+)\)", README):
        assert (REPOSITORY / target).exists(), target
    for path in re.findall(r"`((?:conf|src|docs|benchmarks)/[\w/.]*)`", README):
        assert (REPOSITORY / path).exists(), path
