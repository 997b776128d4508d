"""A trial of a search ends early where its validation curve does not promise enough."""

import logging
from collections.abc import Mapping
from typing import Any, Protocol

import pytorch_lightning as pl

from recurrent_cells.models.classifier import num_parameters
from recurrent_cells.tracking.names import Curve, Tag
from recurrent_cells.tracking.run import TrialRun
from recurrent_cells.training.module import TrialModule

log = logging.getLogger(__name__)


class Judge(Protocol):
    """Says whether a trial is to stop, by what it has reached evaluation by evaluation; 1 is the first."""

    def __call__(self, evaluation: int, values: Mapping[str, float]) -> bool: ...

    def has_stopped(self, evaluation: int) -> bool: ...


class Pruning(pl.Callback):
    """Asks after each evaluation but the last; the run of a trial that stops is tagged with step and search."""

    def __init__(self, judge: Judge, run: TrialRun) -> None:
        self._judge = judge
        self._run = run

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """A trial that was killed between its last evaluation and its test has nothing left to train."""
        assert isinstance(module, TrialModule)
        if module.step > 0 and module.step % module.program.schedule.eval_every == 0:
            self._stop_if(self._judge.has_stopped(_evaluation(module)), trainer, module)

    def on_validation_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        assert isinstance(module, TrialModule)
        if trainer.state.fn == "fit":
            (member,) = module.program.members
            values = {
                Curve.val(module.task.metric): member.progress.latest[Curve.val(module.task.metric)],
                "n_params": num_parameters(member.classifier),
                "seconds": member.progress.seconds(),
            }
            stop = self._judge(_evaluation(module), values)
            self._stop_if(stop and not member.progress.done, trainer, module)

    def _stop_if(self, stop: bool, trainer: pl.Trainer, module: TrialModule) -> None:
        if stop:
            self._run.tags |= {Tag.PRUNED: str(module.step), Tag.PRUNED_BY: self._run.parent or ""}
            log.info("pruned at step %d of %d", module.step, module.program.schedule.total_steps)
            module.program.end(module.program.members)
            trainer.should_stop = True


def _evaluation(module: TrialModule) -> int:
    """How many evaluations there are up to this step: comparable where batches differ."""
    return -(-module.step // module.program.schedule.eval_every)


def pruned_at(run: TrialRun) -> dict[str, Any]:
    """What a result says of a trial that was stopped."""
    return {"pruned": int(run.tags[Tag.PRUNED])} if Tag.PRUNED in run.tags else {}
