"""The Trainer from config, without what this project does by itself."""

import logging
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path

import pytorch_lightning as pl
from pytorch_lightning.plugins.environments import LightningEnvironment

from recurrent_cells.config.schema import TrainerConfig
from recurrent_cells.interrupts import Interruption
from recurrent_cells.training.callbacks import Bar, Checkpointing, Lines
from recurrent_cells.training.device import Device, use_determinism
from recurrent_cells.training.profiling import FOLDER as PROFILE
from recurrent_cells.training.profiling import Profile

# Epochs may be shorter than it takes to write a state.
SECONDS_BETWEEN_CHECKPOINTS = 2.0


def build_trainer(
    config: TrainerConfig,
    device: Device,
    folder: Path,
    interruption: Interruption,
    more: Sequence[pl.Callback] = (),
) -> pl.Trainer:
    """A Trainer that runs until a program is done, or one of the callbacks in `more` has it stop.

    Args:
        folder: of the run, for what Lightning and the profiler write.
    """
    quiet_lightning()
    use_determinism(config.deterministic)
    seconds_between = 0.0 if config.checkpoint_every else SECONDS_BETWEEN_CHECKPOINTS
    callbacks: list[pl.Callback] = [*more, Checkpointing(interruption, seconds_between)]
    if config.profile:
        callbacks.append(Profile(folder / "artifacts" / PROFILE))
    on_terminal = sys.stderr.isatty() if config.progress is None else config.progress
    return pl.Trainer(
        accelerator=device.accelerator,
        devices=1,
        precision=device.precision,  # type: ignore[arg-type]
        deterministic=config.deterministic,
        detect_anomaly=config.detect_anomaly,
        logger=False,
        callbacks=[*callbacks, Bar() if on_terminal else Lines()],
        plugins=[LightningEnvironment()],  # else in a job of Slurm it would be many, with handlers of their own
        default_root_dir=str(folder),
        max_epochs=-1,
        num_sanity_val_steps=0,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
    )


def quiet_lightning() -> None:
    """No banners, and no advice about worker processes that there are none of, or about Slurm where it is installed."""
    for name in ("pytorch_lightning", "lightning_fabric", "lightning"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for message in (
        ".*does not have many workers.*",
        ".*GPU available but not used.*",
        ".*`srun` command is available.*",
    ):
        warnings.filterwarnings("ignore", message)
