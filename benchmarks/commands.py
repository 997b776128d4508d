"""Whole commands of sweeps, each with a store of its own."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

from recurrent_cells.config import schema
from recurrent_cells.tracking.names import Tag
from recurrent_cells.tracking.queries import TrialRecord, search, trial_records
from recurrent_cells.tracking.store import Store, open_store
from src import REPOSITORY


@dataclass(frozen=True)
class Command:
    """What a sweep's command took, in seconds, and the trials it trained.

    Args:
        whole: from its start to its end.
        before: until its first trial began: imports, planning, a new store.
        training: from there to the end of its last trial.
    """

    whole: float
    before: float
    training: float
    records: list[TrialRecord]


def composed(*overrides: str) -> DictConfig:
    """The config of `python -m src.train OVERRIDES`."""
    schema.register()
    with initialize_config_dir(str(REPOSITORY / "conf"), version_base="1.3"):
        return compose("config", overrides=list(overrides))


def store_in(folder: Path) -> dict[str, str]:
    """The environment of commands whose store is in a folder."""
    return {"MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlflow.db"}


def open_in(folder: Path) -> Store:
    with patch.dict(os.environ, store_in(folder)):
        return open_store("recurrent-cells")


def run_train(folder: Path, *arguments: str, environment: Mapping[str, str] | None = None) -> None:
    """`python -m src.train ARGUMENTS` with the store of a folder.

    Raises:
        RuntimeError: with the end of what the command said, if it fails.
    """
    ended = subprocess.run(
        [sys.executable, "-m", "src.train", *arguments],
        cwd=REPOSITORY,
        env={**os.environ, **store_in(folder), **(environment or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if ended.returncode:
        raise RuntimeError(f"exit code {ended.returncode} of {' '.join(arguments)}: {ended.stdout[-600:].strip()}")


def timed_sweep(*arguments: str) -> Command:
    """A sweep's command with a new store; raises as `run_train`."""
    with tempfile.TemporaryDirectory() as name:
        folder, start = Path(name), time.time()
        run_train(folder, "-m", *arguments)
        whole = time.time() - start
        store = open_in(folder)
        runs = [run for run in search(store) if Tag.FINGERPRINT in run.data.tags]
        began = min(run.info.start_time for run in runs) / 1000
        ended = max(run.info.end_time for run in runs) / 1000
        return Command(whole, began - start, ended - began, trial_records(store))
