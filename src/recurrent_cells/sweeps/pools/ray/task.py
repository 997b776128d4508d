"""What a Ray task does, on whatever node: a trial, or a pack of them, as if it had been started there."""

import copy
import io
import os
import traceback
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr, suppress
from dataclasses import dataclass
from functools import partial

from hydra import version
from hydra.core.utils import JobRuntime, setup_globals
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

from recurrent_cells.config.messages import explain
from recurrent_cells.config.schema import Config, validated
from recurrent_cells.errors import Interrupted
from recurrent_cells.interrupts import handled
from recurrent_cells.sweeps.pools import job
from recurrent_cells.trial.outcome import Outcome

HYDRA_VERSION = "1.3"


@dataclass(frozen=True)
class Shipment:
    """What all tasks of a launch need of the process that launches them.

    Credentials travel in `environment`, not in Ray's runtime environment, which Ray writes into its logs.
    """

    hydra_context: HydraContext
    task_function: TaskFunction
    folder: str
    environment: dict[str, str]


def train(
    shipment: Shipment, configs: Sequence[DictConfig], most: int | None, environment: dict[str, str]
) -> tuple[list[Outcome], str]:
    """Run composed jobs, more than one as a pack; their outcomes, and what was written to standard error.

    Args:
        most: the most trials of a pack; None: as many as the GPU's memory holds.
    """
    os.environ.update(shipment.environment | environment)
    with suppress(OSError):  # relative paths of the config mean the launcher's folder, where the node has it
        os.chdir(shipment.folder)
    version.setbase(HYDRA_VERSION)
    setup_globals()
    JobRuntime.instance().set("name", configs[0].hydra.job.name)
    with io.StringIO() as said, redirect_stderr(said), handled():  # Ray cancels a task by a Ctrl-C in its process
        run = partial(job.run, shipment.hydra_context, shipment.task_function)
        outcomes = [run(configs[0])] if len(configs) == 1 else _train_together(configs, most, run)
        return outcomes, said.getvalue()


def _train_together(
    configs: Sequence[DictConfig], most: int | None, run: Callable[[DictConfig], Outcome]
) -> list[Outcome]:
    """Train a pack, then have each trial ended as any other."""
    from recurrent_cells.trial.pack import train_pack

    outcomes: dict[int, Outcome] = {}
    trained: dict[int, str] = {}

    def told(index: int, what: str | Outcome) -> None:
        if isinstance(what, str):
            trained[index] = what
        else:
            outcomes[index] = what

    checked = [_checked(config) for config in configs]
    try:
        train_pack(checked, most, told)
        while trained:
            index, _ = trained.popitem()
            outcomes[index] = run(configs[index])
    except Interrupted as interruption:
        outcomes = dict.fromkeys(range(len(configs)), Outcome("killed", error=str(interruption))) | outcomes
    except Exception as error:
        traceback.print_exc()
        outcomes = dict.fromkeys(range(len(configs)), Outcome("failed", error=explain(error))) | outcomes
    return [outcomes[index] for index in range(len(configs))]


def _checked(config: DictConfig) -> Config:
    """The config of a job's trial, without what is Hydra's."""
    task = copy.deepcopy(config)
    OmegaConf.set_struct(task, False)
    del task["hydra"]
    OmegaConf.set_struct(task, True)
    return validated(task)
