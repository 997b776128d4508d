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


def dry_make(command):
    """What a make command would run."""
    arguments = shlex.split(command)
    result = subprocess.run(["make", "-n", *arguments[1:]], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_every_command_is_of_a_kind_tested_here():
    assert len(COMMANDS) >= 6
    assert sorted(COMMANDS) == sorted(MAKE + TRAIN)


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
    yield from TRAIN
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
