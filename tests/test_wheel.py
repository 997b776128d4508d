"""The wheel: all of the package, at work in an empty folder."""

import importlib.util
import os
import shutil
import subprocess
import sys
import zipfile
from importlib.metadata import version
from pathlib import Path

import pytest

from recurrent_cells.tables import CELLS
from src import REPOSITORY
from tests.support import write_data_set

PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet")


def builds_wheels() -> bool:
    """Whether setuptools is here and knows how a licence is named, which 77 and later do."""
    return bool(importlib.util.find_spec("setuptools")) and int(version("setuptools").partition(".")[0]) >= 77


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """Built from a copy of the sources, so that nothing is left among them."""
    if not builds_wheels():
        pytest.skip("no setuptools that builds wheels")
    copy = tmp_path_factory.mktemp("sources")
    for name in ("src", "conf"):
        shutil.copytree(REPOSITORY / name, copy / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(REPOSITORY / name, copy)
    subprocess.run([*PIP, "wheel", "--no-deps", "--no-build-isolation", "-w", copy / "dist", copy], check=True)
    (built,) = (copy / "dist").glob("*.whl")
    return built


@pytest.mark.slow
def test_it_holds_every_file_of_the_package_and_of_conf(wheel):
    held = set(zipfile.ZipFile(wheel).namelist())
    places = {"src/recurrent_cells": "recurrent_cells", "src/hydra_plugins": "hydra_plugins"}
    for folder, place in (places | {"conf": "recurrent_cells/conf"}).items():
        for file in (REPOSITORY / folder).rglob("*.*"):
            if "__pycache__" not in file.parts and file.is_file():
                assert f"{place}/{file.relative_to(REPOSITORY / folder)}" in held, "name its package in pyproject.toml"
    assert not any(name.startswith(("src/", "tests/", "benchmarks/")) for name in held)
    assert any(name.endswith("licenses/LICENSE") for name in held)


@pytest.mark.slow
def test_its_commands_work_in_an_empty_folder(wheel, tmp_path):
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")  # all there is to install of pure Python
    home = tmp_path / "home"
    home.mkdir()
    own = {key: value for key, value in os.environ.items() if not key.startswith(("RECURRENT_CELLS", "MLFLOW"))}

    def run(*arguments: str) -> str:
        command = [sys.executable, "-m", "recurrent_cells", *arguments]
        env = own | {"PYTHONPATH": os.pathsep.join([str(tmp_path / "site"), own.get("PYTHONPATH", "")])}
        done = subprocess.run(command, cwd=home, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    data = write_data_set(tmp_path / "data", train=90)
    small = ("data=idx", f"data.root={data}", "data.val_size=30", "data.batch_size=20", "trainer=debug")
    sweep = ("train", "-m", "model=lstm,gru", *small, "model.hidden_size=4", "trainer.max_steps=4", "registry=false")
    assert f"model={'|'.join(CELLS.names)}" in run("train", "--help")
    assert "2 trials, 0 to be left out, 2 to run; nothing started" in run(*sweep, "sweep.dry_run=true")
    assert "See the curves: recurrent-cells ui" in run(*sweep, "sweep.report=false")
    page = run("report").splitlines()[-1].removeprefix("Report: ")
    assert Path(page).is_relative_to(home / "reports")
    assert (home / "mlruns" / "mlflow.db").exists()
