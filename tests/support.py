"""What many tests need: composed configs, a tiny data set, commands run as a user runs them."""

import copy
import os
import re
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from src import REPOSITORY

if TYPE_CHECKING:
    from recurrent_cells.inference.trained import Trained

# An override that gives a value and changes nothing else: no group, no section, nothing of Hydra's own.
VALUE = re.compile(r"(seed|(?!hydra\.)\w+(\.\w+)+)=[^${]*")


def compose_config(*overrides: str) -> DictConfig:
    """The config of `python -m src.train OVERRIDES`, composed once for all that differ in values alone."""
    values = [override for override in overrides if VALUE.fullmatch(override)]
    config = copy.deepcopy(_composed(*(override for override in overrides if override not in values)))
    try:
        for override in OverridesParser.create().parse_overrides(values):
            OmegaConf.update(config, override.key_or_group, override.value())
    except OmegaConfBaseException:  # Hydra has more to say
        return _composed.__wrapped__(*overrides)
    return config


@cache
def _composed(*overrides: str) -> DictConfig:
    with initialize_config_dir(str(REPOSITORY / "conf"), version_base="1.3"):
        return compose("config", overrides=list(overrides))


def write_idx(path: Path, array: np.ndarray) -> Path:
    """An IDX file of unsigned bytes."""
    header = struct.pack(f">4B{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
    path.write_bytes(header + array.astype(np.uint8).tobytes())
    return path


def write_data_set(
    folder: Path, train: int = 60, test: int = 20, height: int = 6, width: int = 5, classes: int = 4
) -> Path:
    """Four IDX files of images whose class shows as a bright row."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.RandomState(0)
    for prefix, count in (("train", train), ("t10k", test)):
        labels = np.arange(count, dtype=np.uint8) % classes
        pictures = random.randint(0, 64, (count, height, width)).astype(np.uint8)
        pictures[np.arange(count), labels % height] += 128
        write_idx(folder / f"{prefix}-images-idx3-ubyte", pictures)
        write_idx(folder / f"{prefix}-labels-idx1-ubyte", labels)
    return folder


TINY = (
    "data=idx",
    "data.batch_size=20",
    "data.val_size=40",
    "model.hidden_size=8",
    "optimizer.lr=0.03",
    "trainer=cpu",
    "trainer.max_epochs=4",
    "trainer.log_every=3",
    "registry=false",  # half a second a trial
)


def refusal(main: Callable[[Sequence[str]], None], arguments: Sequence[str], capsys: pytest.CaptureFixture[str]) -> str:
    """The one line that an entry says of bad input, which it ends with 2."""
    with pytest.raises(SystemExit) as end:
        main(arguments)
    assert end.value.code == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    return said


def train_tiny(folder: Path, *overrides: str) -> "Trained":
    """Train on the tiny data set in a folder, and load the best network from the store."""
    from recurrent_cells.inference.trained import find_winner, load_trained
    from recurrent_cells.tracking.store import open_store
    from recurrent_cells.trial.train import train

    result = train(compose_config(*TINY, f"data.root={folder}", *overrides))
    store = open_store("recurrent-cells")
    return load_trained(store, find_winner(store, result["run_id"]))


def without_classes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the networks of trained trials answer with numbers, as those of a regression do."""
    from recurrent_cells.inference import trained
    from recurrent_cells.tasks import Task
    from recurrent_cells.trial import model

    class Number(Task):
        name, metric = "number", "mse"

        def loss(self, outputs: Any, targets: Any) -> Any:
            return ((outputs.squeeze(-1) - targets) ** 2).mean(dim=-1)

    monkeypatch.setattr(trained, "task_of", lambda *_: Number())
    monkeypatch.setattr(model, "trial_task", lambda *_: Number())


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


def within(seconds: float, happened: Callable[[], bool]) -> None:
    """Wait for something.

    Raises:
        TimeoutError: if it has not happened after so many seconds.
    """
    end = time.monotonic() + seconds
    while not happened():
        if time.monotonic() > end:
            raise TimeoutError(f"not after {seconds:g} s")
        time.sleep(0.05)
