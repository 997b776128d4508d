"""Lightning's logger interface over a run's journal."""

from argparse import Namespace
from collections.abc import Mapping
from typing import Any

from pytorch_lightning.loggers.logger import Logger

from recurrent_cells.tracking.run import TrialRun


class RunLogger(Logger):
    """Writes metrics to the run's journal; params and tags are the run's own affair."""

    def __init__(self, run: TrialRun) -> None:
        super().__init__()
        self._run = run

    @property
    def name(self) -> str:
        return self._run.name

    @property
    def version(self) -> str:
        return self._run.run_id

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        self._run.journal.write(dict(metrics), 0 if step is None else step)

    def log_hyperparams(self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any) -> None:
        pass
