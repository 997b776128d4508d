"""The Trainer is the same on a machine with Slurm, in a job of Slurm and elsewhere."""

import pytest

from recurrent_cells.config.schema import TrainerConfig
from recurrent_cells.interrupts import Interruption
from recurrent_cells.training.device import Device
from recurrent_cells.training.trainer import build_trainer
from tests.support import TINY


@pytest.fixture
def with_slurm(tmp_path, monkeypatch):
    """A machine that has Slurm's commands."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "srun").touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=":")


@pytest.mark.usefixtures("with_slurm")
def test_a_trial_on_a_machine_with_slurm_warns_of_nothing(run_cli, store_file, idx_folder):
    answer = run_cli(*TINY, f"data.root={idx_folder}", "trainer.max_epochs=1")
    assert answer.code == 0, answer.err
    assert "srun" not in answer.err


@pytest.mark.usefixtures("with_slurm")
def test_a_trial_in_a_job_of_several_tasks_is_alone(tmp_path, monkeypatch):
    for name, value in {"SLURM_JOB_ID": "7", "SLURM_JOB_NAME": "sweep", "SLURM_NTASKS": "2"}.items():
        monkeypatch.setenv(name, value)
    assert build_trainer(TrainerConfig(), Device("cpu", "32-true", "cpu"), tmp_path, Interruption()).world_size == 1
