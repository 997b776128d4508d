"""Where runs and data lie."""

import subprocess
import sys

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
