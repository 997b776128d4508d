"""What many tests need: composed configs, a tiny data set, commands run as a user runs them."""

import os
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

from src import config
from src.paths import REPOSITORY


def compose_config(*overrides: str) -> DictConfig:
    """The config of `python -m src.train OVERRIDES`."""
    config.register()
    with initialize_config_dir(str(REPOSITORY / "conf"), version_base="1.3"):
        return compose("config", overrides=list(overrides))


def write_idx(path: Path, array: np.ndarray) -> None:
    header = struct.pack(">BBBB", 0, 0, 8, array.ndim) + struct.pack(f">{array.ndim}I", *array.shape)
    path.write_bytes(header + array.astype(np.uint8).tobytes())


def write_stripes(folder: Path, train: int = 240, test: int = 60, size: int = 6, classes: int = 3) -> None:
    """Images whose class is the row that is bright: learnable in a few steps."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.RandomState(0)
    for name, count in (("train", train), ("t10k", test)):
        labels = np.arange(count) % classes
        images = random.randint(0, 120, (count, size, size))
        images[np.arange(count), labels] += 120
        write_idx(folder / f"{name}-images-idx3-ubyte", images)
        write_idx(folder / f"{name}-labels-idx1-ubyte", labels)


TINY = (
    "data=idx",
    "data.batch_size=20",
    "data.val_size=40",
    "model.hidden_size=8",
    "optimizer.lr=0.03",
    "trainer=cpu",
    "trainer.max_epochs=4",
    "trainer.log_every=3",
)


def python(
    *arguments: str, env: dict[str, str] | None = None, timeout: float = 120
) -> subprocess.CompletedProcess[str]:
    """Run `python ARGUMENTS` in the repository."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=REPOSITORY,
        env={**os.environ, **(env or {})},
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
