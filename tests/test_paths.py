"""Where runs and data lie."""

from src.paths import DATASETS, REPOSITORY, TRACKING
from tests.support import python

SHOW = ("-c", "from src.paths import *; print(REPOSITORY, DATASETS, TRACKING, REPORTS, sep='\\n')")


def test_they_lie_beside_the_code():
    assert (DATASETS, TRACKING) == (REPOSITORY / "datasets", REPOSITORY / "mlruns")


def test_or_where_the_environment_says(tmp_path):
    folders = python(*SHOW, env={"RECURRENT_CELLS_HOME": str(tmp_path)}).stdout.splitlines()
    assert folders == [str(REPOSITORY), *(str(tmp_path / name) for name in ("datasets", "mlruns", "reports"))]
