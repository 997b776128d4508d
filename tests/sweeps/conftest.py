"""Sweeps through the command line, in this process or in a fork of it, over trials of a few steps."""

import os
import pickle
import signal
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode
from mlflow.entities import Metric, Param, RunTag
from omegaconf import DictConfig

from recurrent_cells.config.schema import Config
from recurrent_cells.data.splits import load_splits
from recurrent_cells.errors import TrialError
from recurrent_cells.tracking.queries import TrialRecord, trial_records
from recurrent_cells.tracking.store import Store, open_store
from recurrent_cells.training import artifacts
from recurrent_cells.training.module import TrialModule
from recurrent_cells.trial.fingerprint import fingerprint
from recurrent_cells.trial.train import train
from src import REPOSITORY
from tests.conftest import Answer
from tests.support import write_data_set
from tests.sweeps.processes import wait_until

FEW_STEPS = (
    *("-m", "data=idx", "data.val_size=10", "data.batch_size=10", "model.hidden_size=4", "trainer=cpu"),
    *("trainer.max_steps=20", "trainer.eval_every=10", "trainer.checkpoint_every=5"),
    *("sweep.report=false", "registry=false"),
)
TWO_SLOTS = "hydra.launcher.slots=2"


@pytest.fixture(autouse=True)
def consoles(tmp_path, monkeypatch) -> None:
    """What trials write lands with the test's files."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


@pytest.fixture
def hydra_context():
    """Hydra's config loader and the master config of a sweep without overrides."""
    with initialize_config_dir(str(REPOSITORY / "conf"), version_base="1.3"):
        hydra = GlobalHydra.instance().hydra
        assert hydra is not None
        loader = hydra.config_loader
        yield loader, loader.load_configuration("config", [], run_mode=RunMode.MULTIRUN)


@pytest.fixture
def sweep(run_cli, store_file, tmp_path, monkeypatch) -> Callable[..., Answer]:
    """`sweep("seed=0,1", …, train=…)` is `python -m src.train -m …` with trials of 20 steps, which draw nothing."""
    monkeypatch.setattr(artifacts, "draw_confusion", lambda *_: None)
    root = write_data_set(tmp_path / "data")

    def run(*arguments: str, train: Callable[[DictConfig], Any] = train, launcher: str = TWO_SLOTS) -> Answer:
        return run_cli(*FEW_STEPS, f"data.root={root}", launcher, *arguments, train=train)

    return run


@pytest.fixture
def written(store) -> Callable[..., Callable[[Config], dict[str, Any]]]:
    """`written(accuracy)` trains nothing: a trial reaches `accuracy(config)`, and fails where that is None."""

    def of(accuracy: Callable[[Config], float | None]) -> Callable[[Config], dict[str, Any]]:
        def train(config: Config) -> dict[str, Any]:
            reached = accuracy(config)
            tags = {"fingerprint": fingerprint(config, load_splits(config.data).digest), "seed": str(config.seed)}
            params = {
                "seed": config.seed,
                "n_params": 1,
                "model.cell": config.model.cell,
                "optimizer.lr": config.optimizer.lr,
            }
            run = store.client.create_run(store.experiment_id, run_name="trial").info
            points = [] if reached is None else [Metric(name, reached, 0, 1) for name in ("val/best_acc", "test/acc")]
            store.client.log_batch(
                run.run_id,
                points,
                [Param(key, str(value)) for key, value in params.items()],
                [RunTag(key, text) for key, text in tags.items()],
            )
            store.client.set_terminated(run.run_id, "FAILED" if reached is None else "FINISHED")
            if reached is None:
                raise TrialError("it fails")
            return {}

        return train

    return of


@dataclass
class Background:
    """A command in a forked process."""

    pid: int
    answer_file: Path

    def kill(self, signum: int) -> None:
        os.kill(self.pid, signum)

    def wait(self, seconds: float = 300.0) -> Answer:
        """Its answer; the code is -N if signal N ended it. One that hangs writes where, and is ended by SIGABRT."""
        deadline = time.monotonic() + seconds
        while not (ended := os.waitpid(self.pid, os.WNOHANG))[0]:
            if time.monotonic() > deadline:
                self.kill(signal.SIGABRT)  # pytest's fault handler writes the stack
                deadline += seconds
            time.sleep(0.02)
        code = os.waitstatus_to_exitcode(ended[1])
        return pickle.loads(self.answer_file.read_bytes()) if code == 0 else Answer(code, "", "")


@pytest.fixture
def in_background(tmp_path) -> Callable[..., Background]:
    """`in_background(action)` runs an action that gives an Answer in a process of its own."""

    def start(action: Callable[[], Answer]) -> Background:
        file = tmp_path / f"answer-{time.monotonic_ns()}"
        pid = os.fork()
        if pid == 0:
            code = 99
            try:
                file.write_bytes(pickle.dumps(action()))
                code = 0
            finally:
                os._exit(code)
        return Background(pid, file)

    return start


@pytest.fixture
def store(store_file) -> Store:
    return open_store("recurrent-cells")


@pytest.fixture
def trials(store) -> Callable[[], list[TrialRecord]]:
    """The runs of trials in this test's store, by seed."""
    return lambda: sorted(trial_records(store), key=lambda record: int(record.tags["seed"]))


@pytest.fixture
def parents(store) -> Callable[[], list[Any]]:
    """The parent runs of sweeps in this test's store."""

    def found() -> list[Any]:
        runs = store.client.search_runs([store.experiment_id])
        return [run for run in runs if "sweep.plan" in run.data.tags]

    return found


@dataclass
class Steps:
    """Trials whose first training step, in whatever process, is written down; they can be made slow."""

    file: Path
    seconds: float = 0.0

    def train(self, cfg: DictConfig) -> Any:
        original = TrialModule.training_step
        first = True

        def training_step(module: TrialModule, chunk: tuple[int, int], index: int) -> None:
            nonlocal first
            if first:
                with self.file.open("a") as file:
                    file.write(f"{os.getpid()} {cfg.seed}\n")
            first = False
            time.sleep(self.seconds)
            original(module, chunk, index)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(TrialModule, "training_step", training_step)
            return train(cfg)

    def begun(self) -> list[tuple[int, int]]:
        """Process and seed of every trial that reached its first step."""
        lines = self.file.read_text().splitlines() if self.file.exists() else []
        return [(int(pid), int(seed)) for pid, seed in (line.split() for line in lines)]

    def wait_for(self, count: int) -> list[int]:
        """The processes of the first `count` trials, once they have begun."""
        wait_until(lambda: len(self.begun()) >= count)
        return [pid for pid, _ in self.begun()[:count]]


@pytest.fixture
def steps(tmp_path) -> Steps:
    return Steps(tmp_path / "steps")
