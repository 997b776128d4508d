"""One job in the process that trains it, whichever launcher brought it there."""

import traceback
from dataclasses import replace

from hydra.core.utils import run_job
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from recurrent_cells.errors import Interrupted
from recurrent_cells.trial.outcome import Outcome, outcome_of

LONGEST_ERROR = 2000


def run(hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> Outcome:
    """Run a composed job as Hydra does; whatever happens becomes an Outcome, a traceback goes to standard error."""
    try:
        job = run_job(
            hydra_context=hydra_context,
            task_function=task_function,
            config=config,
            job_dir_key="hydra.sweep.dir",
            job_subdir_key="hydra.sweep.subdir",
        )
        outcome = outcome_of(job)
        if outcome.status == "failed":
            traceback.print_exception(job._return_value)
    except Interrupted as interruption:
        outcome = Outcome("killed", error=str(interruption))
    except BaseException as error:
        traceback.print_exc()
        outcome = Outcome("failed", error=f"{type(error).__name__}: {error}")
    return replace(outcome, error=outcome.error[:LONGEST_ERROR])
