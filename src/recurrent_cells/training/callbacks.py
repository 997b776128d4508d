"""What happens around training: checkpoints, interruption, progress."""

import logging
import sys
import time
from typing import Any

import pytorch_lightning as pl
from tqdm import tqdm

from recurrent_cells.interrupts import Interruption
from recurrent_cells.tracking.run import TrialRun
from recurrent_cells.training import state
from recurrent_cells.training.module import TrialModule

log = logging.getLogger(__name__)


class Checkpointing(pl.Callback):
    """Saves the trial's state at its interval, at the end of training, and when it is asked to stop.

    Never where an evaluation is due and not yet done: a state says that all up to its step has happened.

    Args:
        seconds_between: what is due sooner after the last state is left out.
    """

    def __init__(self, run: TrialRun, interruption: Interruption, seconds_between: float) -> None:
        self._run = run
        self._interruption = interruption
        self._seconds_between = seconds_between
        self._latest = time.monotonic()

    def on_train_batch_end(self, trainer: pl.Trainer, module: pl.LightningModule, *_: Any) -> None:
        assert isinstance(module, TrialModule)
        if module.step % module.schedule.eval_every == 0 or module.step >= module.schedule.total_steps:
            return
        self._save_if_due(module)

    def on_train_epoch_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        assert isinstance(module, TrialModule)
        self._save_if_due(module)

    def _save_if_due(self, module: TrialModule) -> None:
        late_enough = time.monotonic() - self._latest >= self._seconds_between
        due = module.step % module.schedule.checkpoint_every == 0 and late_enough
        if self._interruption.asked or module.progress.done or due:
            self._run.checkpoint(lambda path: state.save(module.trial_state(), path))
            self._latest = time.monotonic()
        self._interruption.raise_if_asked()


class Lines(pl.Callback):
    """A line per evaluation, for logs and pipes."""

    def on_train_epoch_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        assert isinstance(module, TrialModule)
        log.info(module.progress.summary())


class Bar(pl.Callback):
    """A progress bar with loss and accuracy, for a terminal."""

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        assert isinstance(module, TrialModule)
        self._bar = tqdm(
            total=module.schedule.total_steps,
            initial=module.step,
            unit=" steps",
            file=sys.stderr,
            mininterval=0.2,
        )
        self._shown = time.monotonic()

    def on_train_batch_end(self, trainer: pl.Trainer, module: pl.LightningModule, *_: Any) -> None:
        assert isinstance(module, TrialModule)
        self._bar.update(module.step - self._bar.n)
        if time.monotonic() - self._shown > 0.2:
            self._show(module)

    def on_train_epoch_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        assert isinstance(module, TrialModule)
        self._show(module)

    def _show(self, module: TrialModule) -> None:
        names = ("train/loss", "train/acc", "val/loss", "val/acc")
        latest = module.progress.latest
        self._bar.set_postfix({name: f"{latest[name]:.4f}" for name in names if name in latest})
        self._shown = time.monotonic()

    def on_train_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self._bar.close()

    def on_exception(self, trainer: pl.Trainer, module: pl.LightningModule, exception: BaseException) -> None:
        if hasattr(self, "_bar"):
            self._bar.close()
