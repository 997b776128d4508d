"""What the launchers of this project have in common."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, open_dict

if TYPE_CHECKING:
    from recurrent_cells.sweeps.plan import Trial


class PlannedLauncher(Launcher):
    """A launcher that is told the plan: `trials` are those behind the jobs of `launch`, empty with another sweeper."""

    trials: "Sequence[Trial]" = ()
    config: DictConfig
    task_function: TaskFunction
    hydra_context: HydraContext

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.hydra_context, self.task_function, self.config = hydra_context, task_function, config

    def prepare(self) -> None:
        """Have ready what trials run on, before a sweep is begun; raises UserError if that cannot be."""

    def compose(self, number: int, overrides: Sequence[str]) -> DictConfig:
        """The config of a job."""
        config = self.hydra_context.config_loader.load_sweep_config(self.config, list(overrides))
        with open_dict(config):
            config.hydra.job.id = str(number)
            config.hydra.job.num = number
        return config

    def labels(self, jobs: Sequence[Sequence[str]]) -> list[str]:
        """What tells each job from the others: its trial's label, or the overrides that not all jobs share."""
        if self.trials:
            return [trial.label for trial in self.trials]
        common = set(jobs[0]).intersection(*jobs[1:]) if len(jobs) > 1 else set()
        return [" ".join(override for override in job if override not in common) for job in jobs]
