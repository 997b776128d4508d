"""A Slurm for sweeps through its commands."""

import stat
import sys

import pytest

from recurrent_cells.sweeps.pools import slurm as pools
from tests.sweeps.pools.played_slurm import COMMANDS, Cluster


@pytest.fixture
def cluster(tmp_path, monkeypatch) -> Cluster:
    """A Slurm on the PATH, at which waiting sweeps look five times a second."""
    pytest.importorskip("submitit")
    folder = tmp_path / "slurm-commands"
    folder.mkdir()
    for name in ("sbatch", "squeue", "scancel", "sinfo", "scontrol", "srun"):
        (folder / name).write_text(COMMANDS.format(python=sys.executable, folder=str(folder)))
        (folder / name).chmod(stat.S_IRWXU)
    monkeypatch.setenv("PATH", str(folder), prepend=":")
    monkeypatch.setattr(pools, "SECONDS_BETWEEN_LOOKS", 0.2)
    return Cluster(folder)
