"""Train to the budget, continuing where a killed trial was, then read the test images once."""

from typing import Any

import pytorch_lightning as pl

from recurrent_cells.interrupts import Interruption
from recurrent_cells.models.classifier import num_parameters
from recurrent_cells.tracking.names import Tag
from recurrent_cells.tracking.run import TrialRun
from recurrent_cells.training import state
from recurrent_cells.training.datamodule import SequenceDataModule
from recurrent_cells.training.module import TrialModule


def fit_and_test(
    trainer: pl.Trainer,
    module: TrialModule,
    data: SequenceDataModule,
    run: TrialRun,
    interruption: Interruption,
) -> dict[str, Any]:
    """Fit, then test with the best weights by validation accuracy, or the last if the config says so."""
    if run.state_file.exists():
        module.resume_from(state.load(run.state_file))
    with interruption.deferred():
        if module.config.trainer.eval_at_start and module.step == 0:
            trainer.validate(module, datamodule=data, verbose=False)
        if not module.progress.done:
            trainer.fit(module, datamodule=data)
    interruption.raise_if_asked()
    if module.config.trainer.test_with == "best":
        module.use_best_weights()
    trainer.test(module, datamodule=data, verbose=False)
    progress = module.progress
    progress.log_best()
    assert progress.best is not None
    seconds = progress.seconds()
    run.tags[Tag.SECONDS] = f"{seconds:.2f}"
    return {
        "n_params": num_parameters(module.classifier),
        "seconds": seconds,
        "val/acc": progress.best.accuracy,
        "test/loss": progress.latest["test/loss"],
        "test/acc": progress.latest["test/acc"],
    }
