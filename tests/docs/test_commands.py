"""Every command of the README and of the pages in docs/, the long ones as a dry run."""

import importlib.util
import inspect
import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from importlib import import_module
from urllib.request import Request, urlopen

import pytest
from PIL import Image

from recurrent_cells.cli.arguments import parse
from recurrent_cells.serving.app import create_app
from recurrent_cells.serving.models import load_models
from recurrent_cells.tables import POOLS
from recurrent_cells.tracking.store import open_store
from src import REPOSITORY
from tests.serving.conftest import answering
from tests.support import train_tiny, write_data_set

PAGES = [REPOSITORY / "README.md", REPOSITORY / "CONTRIBUTING.md", *sorted((REPOSITORY / "docs").glob("*.md"))]
TEXTS = {path.name: path.read_text() for path in PAGES}
BLOCK = re.compile(r"^```(\w+)(?: title=\"([^\"]+)\")?\n(.*?)^```", flags=re.DOTALL | re.MULTILINE)
# Files that the pages ask the reader to write, by name.
FILES = {name: content for text in TEXTS.values() for _, name, content in BLOCK.findall(text) if name}
EXTENSIONS = sorted(name for name in FILES if name.startswith("my_"))


def commands(text: str) -> list[str]:
    """The commands of a page: lines of its shell blocks, and those in its sentences."""
    blocks = [re.sub(r"\\\n\s*", "", content) for kind, _, content in BLOCK.findall(text) if kind == "bash"]
    inline = re.findall(r"`((?:python -m (?:src|benchmarks)\.[a-z_]+|make) [^`]+)`", text)
    return [line for block in blocks for line in block.splitlines() if line.strip()] + inline


def unique(pattern: str) -> list[str]:
    """The commands of all pages that begin so, each once."""
    found = {command: None for text in TEXTS.values() for command in commands(text) if re.match(pattern, command)}
    return list(found)


MAKE, TRAIN, OTHERS = unique("make "), unique(r"python -m src\.train "), unique(r"python -m src\.(?!train )")
OF_THE_TUTORIAL = [command for command in commands(TEXTS["tutorial.md"]) if command.startswith("python ")]
WITH_A_NETWORK = [it for it in OTHERS if re.search(r"(evaluate|predict|export) run=", it) and it not in OF_THE_TUTORIAL]
MEASUREMENTS = unique(r"python -m benchmarks\.")
SHELL = ("pip ", "eval ", "export ")


def test_every_command_is_of_a_kind_tested_here():
    known = {*MAKE, *TRAIN, *OTHERS, *OF_THE_TUTORIAL, *MEASUREMENTS}
    left = [command for text in TEXTS.values() for command in commands(text) if command not in known]
    assert all(command.startswith(SHELL) for command in left), left
    assert len(TRAIN) > 10
    assert len(EXTENSIONS) == 4


@pytest.fixture(scope="module")
def targets() -> dict[str, str]:
    """What each make command would run; one shell asks for all, as starting it takes the time."""
    script = "\n".join(f"echo '== {number}'; make -nB {command[5:]} || exit 1" for number, command in enumerate(MAKE))
    own = {
        name: value
        for name, value in os.environ.items()
        if name not in ("MAKEFLAGS", "MFLAGS", "MAKEOVERRIDES", "ARGS")
    }
    result = subprocess.run(
        ["bash", "-c", script], cwd=REPOSITORY, capture_output=True, text=True, check=False, env=own
    )
    assert result.returncode == 0, result.stderr
    return dict(zip(MAKE, re.split(r"^== \d+\n", result.stdout, flags=re.MULTILINE)[1:], strict=True))


def test_make_knows_its_targets(targets):
    assert all("python" in runs or "rm -rf" in runs or "sed" in runs for runs in targets.values())


@pytest.mark.slow
def test_sweeps_that_make_starts_are_planned(targets, run_cli, store_file, tmp_path):
    started = {line for runs in targets.values() for line in re.findall(r"python -m src\.train.*", runs)}
    assert started
    for command in started:
        is_planned(command, run_cli, tmp_path)


def is_planned(command, run_cli, tmp_path):
    arguments = in_small(on_this_machine(shlex.split(command)[3:]), tmp_path / "stripes")
    dry = [] if "sweep.dry_run=true" in arguments else ["sweep.dry_run=true"]
    answer = run_cli(*arguments, *dry)
    assert answer.code == 0, answer.err
    assert "nothing started" in answer.out


def in_small(arguments, folder):
    """The same command on a tiny data set where it asks for one the reader must have."""
    if not any(it in ("data=mnist", "+study=published") or it.startswith("experiment=") for it in arguments):
        return arguments
    write_data_set(folder, train=240, test=60)
    kept = [argument for argument in arguments if argument != "data=mnist" and not argument.startswith("data.root=")]
    return [*kept, "data=idx", f"data.root={folder}", "data.batch_size=20", "data.val_size=40"]


def on_this_machine(arguments):
    """The same command without its Ray or Slurm, whose keys are looked up instead."""
    chosen = [it.partition("=")[2] for it in arguments if it in ("hydra/launcher=ray", "hydra/launcher=slurm")]
    if not chosen:
        return arguments
    keys = inspect.signature(POOLS[chosen[0]]).parameters
    for argument in arguments:
        if argument.startswith("hydra.launcher."):
            assert argument.removeprefix("hydra.launcher.").partition("=")[0] in keys
    return [argument for argument in arguments if not argument.startswith("hydra")]


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(it, marks=pytest.mark.slow if "+study=" in it or "+sweep=modern" in it else ())
        for it in TRAIN
        if it not in OF_THE_TUTORIAL
    ],
)
def test_train_commands_run(command, run_cli, store_file, tmp_path, monkeypatch):
    for name in EXTENSIONS:
        (tmp_path / name).write_text(FILES[name])
    monkeypatch.chdir(tmp_path)
    arguments = shlex.split(command)[3:]
    if "--help" in arguments:
        assert run_cli(*arguments).code == 0
    elif "-m" in arguments or any(it.startswith(("experiment=", "extensions=")) for it in arguments):
        is_planned(command, run_cli, tmp_path)
    else:
        answer = run_cli(*arguments, "trainer=debug", "trainer.max_steps=4", "trainer.eval_every=2", "registry=false")
        assert answer.code == 0, answer.err
        assert "test/" in answer.out


@pytest.mark.slow
@pytest.mark.parametrize("name", EXTENSIONS)
def test_what_the_pages_say_to_write_trains(name, run_cli, idx_folder, store_file, tmp_path):
    (command,) = [it for it in TRAIN if f"extensions=[{name}]" in it]
    (tmp_path / name).write_text(FILES[name])
    chosen = [it.partition(",")[0] for it in shlex.split(command) if re.match(r"(model|data|task|optimizer)=", it)]
    data = () if any(it.startswith("data=") for it in chosen) else ("data=idx", f"data.root={idx_folder}")
    sizes = ("data.batch_size=20", "data.val_size=20", "trainer=debug", "trainer.max_steps=4", "registry=false")
    answer = run_cli(f"extensions=[{tmp_path / name}]", *chosen, *data, *sizes, "trainer.max_epochs=null")
    assert answer.code == 0, answer.err
    assert "test/" in answer.out


@pytest.mark.slow
def test_the_tutorial_comes_to_a_verdict_and_to_answers(run_cli, store_file, tmp_path, monkeypatch, capsys):
    """Its commands in their order, as they stand but for a smaller network and budget."""
    monkeypatch.chdir(tmp_path)
    for name in ("make_readings.py", "new.csv"):
        (tmp_path / name).write_text(FILES[name])
    small = ("model.hidden_size=8", "trainer=cpu", "trainer.max_epochs=1", "registry=false")
    said = []
    for command in OF_THE_TUTORIAL:
        _, *arguments = shlex.split(command)
        if arguments == ["make_readings.py"]:
            subprocess.run([sys.executable, *arguments], check=True)
        elif arguments[1] == "src.train":
            decides = "sweep.until=decided" in arguments  # many seeds: planned here
            answer = run_cli(*arguments[2:], *small, "sweep.report=false", *(["sweep.dry_run=true"] if decides else []))
            assert answer.code == 0, answer.err
            said.append(answer.out)
        else:
            import_module(arguments[1].replace("src", "recurrent_cells.cli")).main(arguments[2:])
            said.append(capsys.readouterr().out)
    planned, swept, decided, predicted, evaluated = said
    assert "9 trials" in planned
    assert "over 3 seeds" in swept
    assert "6 to be left out" in decided
    assert re.search("new.csv: (worn|fine)", predicted)
    assert "80 test examples" in evaluated

    served = create_app(load_models(open_store("recurrent-cells")))
    with answering(served) as port:
        posted = Request(f"http://127.0.0.1:{port}/invocations", (tmp_path / "new.csv").read_bytes())
        posted.add_header("Content-Type", "text/csv")
        with urlopen(posted, timeout=20) as answer:
            (prediction,) = json.load(answer)["predictions"]
    assert prediction["name"] in ("worn", "fine")
    assert f"new.csv: {prediction['name']}" in predicted


def test_the_readmes_own_sequences_are_those_of_the_tutorial():
    section = TEXTS["README.md"].split("## Your own sequences")[1].split("\n## ")[0]
    sweep, predict, serve = commands(section)
    assert {sweep, predict} < set(OF_THE_TUTORIAL)
    assert serve == "make serve"


@pytest.mark.slow
@pytest.mark.parametrize("command", WITH_A_NETWORK)
def test_commands_on_a_trained_network_run(command, store_file, idx_folder, tmp_path, monkeypatch, capsys):
    """On a tiny network, which is no champion."""
    train_tiny(idx_folder)
    (tmp_path / "digits").mkdir()
    Image.new("L", (5, 6), 200).save(tmp_path / "digits" / "one.png")
    monkeypatch.chdir(tmp_path)
    _, _, entry, *arguments = shlex.split(command.replace("run=champion", "run=best"))
    import_module(entry.replace("src", "recurrent_cells.cli")).main(arguments)
    assert capsys.readouterr().out


@pytest.mark.parametrize("command", [it for it in OTHERS if it not in (*WITH_A_NETWORK, *OF_THE_TUTORIAL)])
def test_other_commands_know_their_keys(command):
    _, _, entry, *arguments = shlex.split(command)
    parse(arguments, import_module(entry.replace("src", "recurrent_cells.cli")).KEYS)


@pytest.mark.parametrize("command", MEASUREMENTS)
def test_measurements_know_their_flags(command):
    _, _, module, *arguments = shlex.split(command)
    path = REPOSITORY / module.replace(".", "/")
    source = (path / "__main__.py" if path.is_dir() else path.with_suffix(".py")).read_text()
    assert all(f'"{argument}"' in source for argument in arguments if argument.startswith("--"))


def test_extras_and_variables_it_names_are_there():
    text = "\n".join(TEXTS.values())
    extras = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert set(re.findall(r"'\.\[(\w+)\]'", text)) <= extras.keys()
    package = [path.read_text() for path in (REPOSITORY / "src").rglob("*.py")]
    for variable in set(re.findall(r"\b((?:RECURRENT_CELLS|MLFLOW)_[A-Z_]+)\b", text)):
        library = importlib.util.find_spec("mlflow").submodule_search_locations[0]
        known = any(variable in source for source in package)
        assert known or variable in (REPOSITORY / library / "environment_variables.py").read_text(), variable
