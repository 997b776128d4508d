"""What happens around training: checkpoints, interruption, progress."""

import logging
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import pytorch_lightning as pl
from tqdm import tqdm

from recurrent_cells.interrupts import Interruption
from recurrent_cells.training import state
from recurrent_cells.training.member import Member
from recurrent_cells.training.module import TrialModule
from recurrent_cells.training.program import Program

# The states of many trials take their time: so many times as long passes until the next are due.
PAUSE_FACTOR = 20

log = logging.getLogger(__name__)


class Checkpointing(pl.Callback):
    """Saves the states of a program's members at their interval, when a member is done, and when it is asked to stop.

    Never where an evaluation is due and not yet done: a state says that all up to its step has happened.

    Args:
        seconds_between: what is due sooner after the last states is left out.
    """

    def __init__(self, interruption: Interruption, seconds_between: float) -> None:
        self._interruption = interruption
        self._seconds_between = seconds_between
        self._pause = seconds_between
        self._latest = time.monotonic()

    def on_train_batch_end(self, trainer: pl.Trainer, module: pl.LightningModule, *_: Any) -> None:
        assert isinstance(module, TrialModule)
        schedule, step = module.program.schedule, module.step
        if step % schedule.eval_every and step < schedule.total_steps:
            self._save_if_due(module)

    def on_train_epoch_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        assert isinstance(module, TrialModule)
        self._save_if_due(module)
        module.program.end([member for _, member in module.program.open if member.progress.done])
        trainer.should_stop = trainer.should_stop or module.program.is_done

    def _save_if_due(self, module: TrialModule) -> None:
        program, start = module.program, time.monotonic()
        due = module.step % program.schedule.checkpoint_every == 0 and start - self._latest >= self._pause
        if self._interruption.asked or due or any(member.progress.done for _, member in program.open):
            states = program.states()
            for place, member in program.open:
                member.run.checkpoint(partial(state.save, states[place]))
            self._latest = time.monotonic()
            if self._seconds_between:
                self._pause = max(self._seconds_between, PAUSE_FACTOR * (self._latest - start))
        self._interruption.raise_if_asked()


class Stopping(pl.Callback):
    """Ends members whose runs are asked to stop, their states saved; the others go on.

    Args:
        members: all, those too that wait for a program of their own.
        ended: takes a member that has ended while others go on.
    """

    def __init__(self, members: Sequence[Member], ended: Callable[[Member], None]) -> None:
        self._members, self._ended = members, ended

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        assert isinstance(module, TrialModule)
        module.pause = self._end_asked

    def on_train_batch_end(self, trainer: pl.Trainer, module: pl.LightningModule, *_: Any) -> None:
        assert isinstance(module, TrialModule)
        schedule, step = module.program.schedule, module.step
        if step % schedule.eval_every and step < schedule.total_steps:  # else the evaluation comes first
            self._end_asked(module.program)

    def on_train_epoch_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        assert isinstance(module, TrialModule)
        self._end_asked(module.program)

    def _end_asked(self, program: Program) -> None:
        for member in self._members:
            if member.run.stop is not None and not member.ended and member not in program.members:
                member.ended, member.error = True, member.run.stop
                self._ended(member)
        asked = [it for _, it in program.open if it.run.stop is not None and not it.progress.done]
        program.end(asked)
        for member in asked:
            assert member.state is not None
            member.run.checkpoint(partial(state.save, member.state))
            member.error = member.run.stop
        if asked and not program.open:
            assert asked[0].run.stop is not None
            raise asked[0].run.stop
        for member in asked:
            self._ended(member)


class TimeLimit(pl.Callback):
    """Has the evaluation that ends a trial come as soon as the trial's time is used."""

    def on_train_batch_end(self, trainer: pl.Trainer, module: pl.LightningModule, *_: Any) -> None:
        assert isinstance(module, TrialModule)
        (member,) = module.program.members
        if member.progress.time_used_at is not None:
            log.info("trainer.max_seconds=%g is used at step %d", member.config.trainer.max_seconds, module.step)
            trainer.should_stop = True


class Lines(pl.Callback):
    """A line per evaluation, for logs and pipes; of several trials each in the log of its own run."""

    def on_train_epoch_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        assert isinstance(module, TrialModule)
        members = module.program.members
        for member in members:
            if member.progress.evaluated_at == module.step and member.progress.latest:
                own = {"run_id": member.run.run_id, "only_file": len(members) > 1}
                log.info(member.progress.summary(), extra=own)


class Bar(pl.Callback):
    """A progress bar with loss and metric of one trial, for a terminal."""

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        assert isinstance(module, TrialModule)
        self._bar = tqdm(
            total=module.program.schedule.total_steps,
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
        names = [f"{split}/{name}" for split in ("train", "val") for name in ("loss", module.task.metric)]
        latest = module.program.members[0].progress.latest
        self._bar.total = module.program.schedule.total_steps
        self._bar.set_postfix({name: f"{latest[name]:.4f}" for name in names if name in latest})
        self._shown = time.monotonic()

    def on_train_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self._bar.close()

    def on_exception(self, trainer: pl.Trainer, module: pl.LightningModule, exception: BaseException) -> None:
        if hasattr(self, "_bar"):
            self._bar.close()
