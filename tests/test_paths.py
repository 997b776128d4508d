"""Where runs and data lie."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from recurrent_cells.paths import kind, of_user
from src import REPOSITORY

SHOW = "from recurrent_cells.paths import *; print(DATASETS, TRACKING, REPORTS, sep='\\n')"
NAMES = ("datasets", "mlruns", "reports")


def places(code, folder, **environment):
    """The folders that a process in `folder` sees, without what this one's environment says."""
    env = {"PYTHONPATH": f"{REPOSITORY / 'src'}:{REPOSITORY}", "PATH": "/usr/bin:/bin", **environment}
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=env, capture_output=True, text=True, check=True
    )
    return result.stdout.splitlines()


def test_the_doors_keep_them_in_the_repository(tmp_path):
    assert places(f"import src; {SHOW}", tmp_path) == [str(REPOSITORY / name) for name in NAMES]


def test_the_script_keeps_them_where_it_is_run(tmp_path):
    assert places(SHOW, tmp_path) == [str(tmp_path / name) for name in NAMES]


def test_or_where_the_environment_says(tmp_path):
    home = tmp_path / "home"
    found = places(f"import src; {SHOW}", tmp_path, RECURRENT_CELLS_HOME=str(home))
    assert found == [str(home / name) for name in NAMES]


def test_what_lies_there(tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("file")
    os.mkfifo(tmp_path / "pipe")
    found = [kind(tmp_path / name) for name in ("file", "link", "pipe", ".")]
    assert found == ["file", "file", "other", "folder"]


@pytest.mark.parametrize("name", ["absent", "file/more", "circle", "x" * 300, "a\x00b"])
def test_nothing_lies_there(tmp_path, name):
    (tmp_path / "file").touch()
    (tmp_path / "circle").symlink_to("circle")
    assert kind(tmp_path / name) is None


def test_a_tilde_is_a_home_where_there_is_such_a_user():
    assert of_user("~/a") == Path.home() / "a"
    assert of_user("~no such user/a") == Path("~no such user/a")
