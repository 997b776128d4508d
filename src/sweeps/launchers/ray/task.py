"""What a Ray task does, on whatever node: one trial, as if it had been started there."""

import io
import os
from contextlib import redirect_stderr, suppress
from dataclasses import dataclass

from hydra import version
from hydra.core.utils import JobRuntime, setup_globals
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from src.interrupts import handled
from src.sweeps.launchers import job
from src.sweeps.outcome import Outcome

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


def train(shipment: Shipment, config: DictConfig, environment: dict[str, str]) -> tuple[Outcome, str]:
    """Run one composed job; its outcome, and what it wrote to standard error."""
    os.environ.update(shipment.environment | environment)
    with suppress(OSError):  # relative paths of the config mean the launcher's folder, where the node has it
        os.chdir(shipment.folder)
    version.setbase(HYDRA_VERSION)
    setup_globals()
    JobRuntime.instance().set("name", config.hydra.job.name)
    with io.StringIO() as said, redirect_stderr(said), handled():  # Ray cancels a task by a Ctrl-C in its process
        outcome = job.run(shipment.hydra_context, shipment.task_function, config)
        return outcome, said.getvalue()
