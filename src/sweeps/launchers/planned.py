"""What the launchers of this project have in common."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

if TYPE_CHECKING:
    from src.sweeps.plan import Trial


class PlannedLauncher(Launcher):
    """A launcher that is told the plan: `trials` are those behind the jobs of `launch`, empty with another sweeper."""

    trials: "Sequence[Trial]" = ()
    config: DictConfig
    task_function: TaskFunction
    hydra_context: HydraContext

    @property
    def capacity(self) -> int:
        """How many trials it has at work at once, for searches that ask for as many."""
        return 1

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.hydra_context, self.task_function, self.config = hydra_context, task_function, config
