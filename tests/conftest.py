"""What most tests need: a store of their own, a tiny data set, the command line."""

import gc
import logging
import os
import shutil
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from omegaconf import DictConfig

from recurrent_cells import paths
from recurrent_cells.cli import train as cli
from recurrent_cells.config import extensions, validation
from recurrent_cells.config import schema as config
from recurrent_cells.data import examples, splits
from recurrent_cells.tracking import database
from tests.support import write_data_set

# In processes that tests start, too: on small tensors threads that wait for one another take ten times the work.
os.environ.setdefault("OMP_NUM_THREADS", "1")


@dataclass(frozen=True)
class Answer:
    """What a command said and the code it ended with."""

    code: int
    out: str
    err: str


@pytest.fixture(scope="module", autouse=True)
def memory_of_others() -> None:
    """Collections of garbage do not look through what earlier modules have left in memory."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def forks_may_train() -> None:
    """Let processes forked from one that has trained train too: an export before the first backward pass forbids it."""
    import torch

    torch.ones(1, requires_grad=True).sum().backward()


@pytest.fixture(scope="session", autouse=True)
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Hydra knows the schema, and trials find the networks that earlier tests exported, which takes seconds each."""
    config.register()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(paths, "EXPORTS", tmp_path_factory.mktemp("exports"))
        yield


@pytest.fixture(autouse=True)
def surroundings(tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or writes the user's store, caches what it warned of, or sees another's images and threads.

    A store that a test is the first to need has tables that are there already.
    """
    import torch

    torch.set_num_threads(1)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    monkeypatch.setattr(database, "await_tables", lambda: request.getfixturevalue("empty_store"))
    monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)
    validation._warn_once.cache_clear()
    examples._load.cache_clear()
    splits._load_splits.cache_clear()
    extensions.clear()


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of an MLflow store without runs: to make one takes seconds, to copy it none."""
    from recurrent_cells.tracking.database import prepare
    from recurrent_cells.tracking.store import quiet_mlflow

    quiet_mlflow()
    path = tmp_path_factory.mktemp("store") / "mlflow.db"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(database, "await_tables", None)  # a test may be waiting for these
        prepare(path)
    return path


@pytest.fixture
def store_file(tmp_path: Path, empty_store: Path) -> Path:
    """An empty MLflow store at the place where this test's commands look for theirs."""
    return Path(shutil.copy(empty_store, tmp_path / "mlflow.db"))


@pytest.fixture(scope="session")
def trained_stores(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Callable[..., Path]:
    """`trained_stores(train)`: the folder of a store in which `train(folder)` has trained, which happens once."""

    @cache
    def trained(train: Callable[[Path], Any]) -> Path:
        folder = tmp_path_factory.mktemp("trained")
        shutil.copy(empty_store, folder / "mlflow.db")
        with pytest.MonkeyPatch.context() as environment:
            environment.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder}/mlflow.db")
            train(folder)
        return folder

    return trained


@pytest.fixture
def begin_with(trained_stores: Callable[..., Path], tmp_path: Path) -> Callable[..., Any]:
    """`begin_with(train)`: this test's store, a copy of one in which `train(folder)` has trained."""
    from recurrent_cells.tracking.database import copy
    from recurrent_cells.tracking.store import open_store

    def begun(train: Callable[[Path], Any]) -> Any:
        folder = trained_stores(train)
        copy(folder / "mlflow.db", tmp_path / "mlflow.db")
        shutil.copytree(folder / "artifacts", tmp_path / "artifacts")
        return open_store("recurrent-cells")

    return begun


@pytest.fixture
def idx_folder(tmp_path: Path) -> Path:
    """A data set of 60 + 20 images, 6 × 5, in 4 classes."""
    return write_data_set(tmp_path / "data")


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Chromium without a window, driven by Playwright; without one the test is skipped."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no Chromium")
    from playwright.sync_api import sync_playwright

    flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium, args=flags)
        yield started
        started.close()


@pytest.fixture
def run_cli(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Answer]:
    """`run_cli("model=gru", …)` does in this process what `python -m src.train model=gru …` does."""

    def run(*arguments: str, train: Callable[[DictConfig], Any] | None = None) -> Answer:
        if train is None:
            from recurrent_cells.trial.train import train

        monkeypatch.setattr(sys, "argv", ["train.py"])
        code = 0
        with _set_up_taken_back(), monkeypatch.context() as environment:
            environment.setenv("HYDRA_FULL_ERROR", "0")
            capsys.readouterr()
            try:
                cli.main(arguments, train)
            except SystemExit as end:
                code = int(end.code or 0)
        return Answer(code, *capsys.readouterr())

    return run


@contextmanager
def _set_up_taken_back() -> Iterator[None]:
    """Undo what `cli.main` sets up for a process of its own: log handlers and the form of warnings."""
    root = logging.getLogger()
    handlers, level, formatwarning = root.handlers[:], root.level, warnings.formatwarning
    try:
        with warnings.catch_warnings():
            yield
    finally:
        logging.captureWarnings(False)
        root.handlers[:] = handlers
        root.setLevel(level)
        warnings.formatwarning = formatwarning


@pytest.fixture
def runs(tmp_path: Path) -> Iterator[Callable[[], list[Any]]]:
    """The runs in this test's store, in all experiments; none if there is no store."""

    def found() -> list[Any]:
        if not (tmp_path / "mlflow.db").exists():
            return []
        from mlflow import MlflowClient

        client = MlflowClient(tracking_uri=f"sqlite:///{tmp_path}/mlflow.db")
        experiments = [experiment.experiment_id for experiment in client.search_experiments()]
        return list(client.search_runs(experiments))

    return found
