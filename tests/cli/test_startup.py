"""What commands do without: libraries that take seconds to import."""

import pytest

from recurrent_cells.config.schema import EXPERIMENT
from recurrent_cells.tracking.store import open_store
from tests.support import python

TRAINING = {"pytorch_lightning", "torchmetrics", "torchvision"}
DRAWING = {"matplotlib"}
STATISTICS = {"scipy"}
STORE = {"mlflow", "sqlalchemy", "alembic", "pandas"}
HEAVY = {"torch", "optuna"} | TRAINING | DRAWING | STATISTICS | STORE


def imported(*arguments: str, home: object) -> tuple[set[str], int]:
    """The packages that a command of `src.train` imports, and its exit code."""
    answer = python("-X", "importtime", "-m", "src.train", *arguments, env={"RECURRENT_CELLS_HOME": str(home)})
    lines = [line for line in answer.stderr.splitlines() if line.startswith("import time:")]
    return {line.rpartition("|")[2].strip().partition(".")[0] for line in lines}, answer.returncode


@pytest.mark.parametrize(
    "line",
    [
        "--help",
        "model.hidden_size=-1",
        "model.hidden_sizes=1",
        "+model.options.x=1",
        "model=slstm model.options.heads=0",
        "-m model.hidden_size=-1,3",
        "data=idx data.root=/nowhere",
        "-m data=idx data.root=/nowhere seed=0,1",
    ],
)
def test_help_and_refusals_import_nothing_heavy(line, tmp_path):
    found, ended = imported(*line.split(), home=tmp_path)
    assert (found & HEAVY, ended) == (set(), 0 if line == "--help" else 2)


@pytest.mark.slow
@pytest.mark.parametrize("line", ["seed=1", "-m seed=0,1"])
def test_a_dry_run_needs_neither_what_trains_nor_what_draws_nor_mlflow(line, tmp_path, idx_folder, store_file):
    open_store(EXPERIMENT)
    small = ("data=idx", f"data.root={idx_folder}", "data.batch_size=20", "data.val_size=40")
    found, ended = imported(*small, *line.split(), "sweep.dry_run=true", home=tmp_path)
    assert (found & (TRAINING | DRAWING | STATISTICS | STORE), ended) == (set(), 0)


@pytest.mark.slow
@pytest.mark.parametrize("line", ["seed=1", "-m seed=0,1"])
def test_a_trial_that_cannot_start_is_refused_before_what_only_training_needs(line, tmp_path, idx_folder, store_file):
    too_large = ("data=idx", f"data.root={idx_folder}", "model.hidden_size=10000000")
    found, ended = imported(*too_large, *line.split(), home=tmp_path)
    assert (found & (TRAINING | DRAWING | STATISTICS | STORE), ended) == (set(), 2)
