"""The Trainer is the same on a machine with Slurm, in a job of Slurm and elsewhere."""

import pytest

from recurrent_cells.config.schema import TrainerConfig
from recurrent_cells.interrupts import Interruption
from recurrent_cells.training.device import Device
from recurrent_cells.training.trainer import build_trainer


@pytest.mark.parametrize("job", [{}, {"SLURM_JOB_ID": "7", "SLURM_JOB_NAME": "sweep", "SLURM_NTASKS": "2"}])
def test_slurm_is_not_looked_for(job, tmp_path, monkeypatch):
    (tmp_path / "srun").touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    for name, value in job.items():
        monkeypatch.setenv(name, value)
    # a warning would be an error here
    trainer = build_trainer(TrainerConfig(), Device("cpu", "32-true", "cpu"), tmp_path, Interruption())
    assert trainer.world_size == 1
