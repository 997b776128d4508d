"""Hydra's launcher for Slurm under this project's sweeper: composed, and whole when it is sent to a node."""

import pickle

import pytest
from hydra import initialize_config_dir
from hydra._internal.callbacks import Callbacks
from hydra.core.global_hydra import GlobalHydra
from hydra.core.singleton import Singleton
from hydra.types import HydraContext, RunMode

from recurrent_cells.sweeps.launchers import pool_of
from recurrent_cells.trial.train import train
from src import REPOSITORY

pytest.importorskip("hydra_plugins.hydra_submitit_launcher")
cloudpickle = pytest.importorskip("cloudpickle")


def test_slurm_is_asked_for_what_the_command_line_says():
    singletons = Singleton.get_state()
    asked = ["partition=gpu", "gres=gpu:1", "timeout_min=120", "array_parallelism=50", "submitit_folder=/shared/jobs"]
    overrides = ["hydra/launcher=submitit_slurm", *(f"hydra.launcher.{it}" for it in asked)]
    with initialize_config_dir(str(REPOSITORY / "conf"), version_base="1.3"):
        hydra = GlobalHydra.instance().hydra
        assert hydra is not None
        loader = hydra.config_loader
        config = loader.load_configuration("config", overrides, run_mode=RunMode.MULTIRUN)
        pool = pool_of(HydraContext(loader, Callbacks()), train, config)
    Singleton.set_state(singletons)
    sent = pickle.loads(cloudpickle.dumps(pool._launcher))
    assert sent.params["partition"] == "gpu"
    assert sent.params["gres"] == "gpu:1"
    assert sent.params["array_parallelism"] == 50
    assert sent.config.hydra.sweeper._target_ == "hydra_plugins.recurrent_cells.GridSweeper"
    assert callable(sent.task_function)
