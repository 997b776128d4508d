"""Spaces, studies, and searches through the command line."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from recurrent_cells.config.schema import Config
from recurrent_cells.sweeps.search.ranges import Choices, Interval
from recurrent_cells.sweeps.search.settings import SearchSettings
from recurrent_cells.sweeps.search.space import Space
from recurrent_cells.sweeps.search.study import Study
from recurrent_cells.trial.study_storage import STORAGE, make_storage
from tests.conftest import Answer

RANGES = {
    "model.cell": Choices(("lstm", "gru")),
    "model.hidden_size": Interval(4, 8, integer=True),
    "optimizer.lr": Interval(1e-4, 1e-1, log=True),
}


@pytest.fixture
def space() -> Space:
    """Three ranges over a config that is not composed."""
    return Space(lambda overrides: Config(), (), RANGES)


@pytest.fixture
def open_study(store, space) -> Callable[..., Study]:
    """`open_study(n_trials=4)` opens the one study there is, as another process would."""

    def opened(**settings) -> Study:
        return Study(store, "a study", space, SearchSettings(**{"n_trials": 8, "startup_trials": 3} | settings), 9)

    return opened


@pytest.fixture
def search(sweep) -> Callable[..., Answer]:
    """`search(…)` is a search over learning rates, one trial after the other, whose trials take 20 steps."""

    def run(*arguments: str, **more) -> Answer:
        ranges = ("optimizer.lr=tag(log,interval(1e-6,0.3))", "hydra.sweeper.n_trials=3")
        return sweep("hydra/sweeper=optuna", *ranges, *arguments, **{"launcher": "hydra.launcher.slots=1"} | more)

    return run


@pytest.fixture(scope="session")
def empty_storage(tmp_path_factory) -> Path:
    """A storage without studies: to make one takes long, to copy it not."""
    folder = tmp_path_factory.mktemp("storage")
    make_storage(folder).engine.dispose()
    return folder / STORAGE


@pytest.fixture(autouse=True)
def storage(empty_storage, tmp_path) -> Path:
    """The storage beside this test's store."""
    return Path(shutil.copy(empty_storage, tmp_path / STORAGE))
