"""A contender as its starter sees it."""

import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np

from benchmarks.contenders import Network
from src import REPOSITORY


class Contender:
    """A running process of benchmarks.contenders in a checkout, on one core if one is named."""

    def __init__(
        self,
        name: str,
        network: Network,
        data: Path,
        core: int | None,
        python: str = sys.executable,
        folder: Path = REPOSITORY,
    ) -> None:
        self.process = subprocess.Popen(
            [python, "-m", "benchmarks.contenders", name, json.dumps(asdict(network)), str(data)],
            cwd=folder,
            env=os.environ | ({} if core is None else {"CORE": str(core)}),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def train(self, steps: int) -> float:
        """Seconds a step; raises RuntimeError if the process has died."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        try:
            self.process.stdin.write(f"{steps}\n")
            self.process.stdin.flush()
            return float(self.process.stdout.readline())
        except (OSError, ValueError):
            raise RuntimeError("it does not run here") from None

    def end(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


def write_data(path: Path) -> None:
    """The training sequences and labels of the default data."""
    from recurrent_cells.config.schema import DataConfig
    from recurrent_cells.data.splits import load_splits

    splits = load_splits(DataConfig(name="mnist_5k", val_size=500, test_size=500))
    np.savez(path, x=splits.train.sequences.numpy(), y=splits.train.targets.numpy())
