"""Pools and Hydra's launchers: any launcher as a pool, and any pool as a launcher for Hydra's own sweepers."""

import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

from recurrent_cells.config.validation import check_own_keys, check_unplanned
from recurrent_cells.errors import UserError
from recurrent_cells.sweeps.grid import Composer, Point
from recurrent_cells.sweeps.pools import Pool
from recurrent_cells.tables import POOLS
from recurrent_cells.trial.claim import once
from recurrent_cells.trial.outcome import Outcome, outcome_of

if TYPE_CHECKING:
    from recurrent_cells.sweeps.plan import Trial


def pool_of(hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> Pool:
    """The pool that `hydra/launcher` chooses; raises UserError if its options will not do."""
    options = _options(config.hydra.launcher)
    if "pool" in options:
        return make_pool(**options)
    launcher = Plugins.instance().instantiate_launcher(
        hydra_context=hydra_context, task_function=once(task_function), config=config
    )
    return ForeignPool(launcher)


def check_folder(folder: str) -> None:
    """Raises UserError if `hydra.sweep.dir` cannot be made, where launchers that are not of this project write."""
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"hydra.sweep.dir={folder}: cannot be made ({reason}); choose another place") from None


def make_pool(pool: str, **options: Any) -> Pool:
    made: Pool = POOLS[pool](**options)
    return made


def _options(launcher: DictConfig) -> dict[str, Any]:
    options = OmegaConf.to_container(launcher, resolve=True)
    assert isinstance(options, dict)
    return {str(key): value for key, value in options.items() if key != "_target_"}


class ForeignPool(Pool):
    """A launcher of Hydra's: takes lists of overrides, and returns when all their trials have ended."""

    blocks = True
    slots = 1
    running = 0

    def __init__(self, launcher: Launcher) -> None:
        self._launcher = launcher
        self._started = 0
        self._ended: list[tuple[Trial, Outcome]] = []

    def begin(self) -> None:
        """Nothing: the launcher is ready."""

    def grouped(self, trials: "Sequence[Trial]") -> "list[Sequence[Trial]]":
        """All at once: the launcher has slots, or a queue, of its own."""
        return [trials] if trials else []

    def where(self, groups: "Iterable[Sequence[Trial]]", count: int) -> str:
        return f"through {type(self._launcher).__name__}"

    def start(self, trials: "Sequence[Trial]") -> None:
        from recurrent_cells.tracking.run import under_way

        with under_way(self.store, trials[0].config.sweep.parent):  # a parent whose trials wait in a queue is at work
            jobs = self._launcher.launch([list(trial.overrides) for trial in trials], initial_job_idx=self._started)
        self._started += len(trials)
        self._ended += [(trial, outcome_of(job._return_value)) for trial, job in zip(trials, jobs, strict=True)]

    def ended(self, seconds: float) -> "Iterable[tuple[Trial, Outcome]]":
        ended, self._ended = self._ended, []
        if not ended:
            time.sleep(seconds)
        return ended

    def stop(self, signum: int) -> None:
        """Nothing: trials run only while `start` does."""

    def end(self) -> None:
        """Nothing: trials run only while `start` does."""


class PoolLauncher(Launcher):
    """A pool for sweepers that are not of this project (`hydra/sweeper=basic`), whose trials have no parent run."""

    def __init__(self, pool: str, **options: Any) -> None:
        self._options: Mapping[str, Any] = {"pool": pool, **options}

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Raises UserError if the options of the pool, or keys that are not the user's, will not do."""
        check_own_keys(config.sweep)
        check_unplanned(config.sweep)
        self._pool = make_pool(**self._options)
        if self._pool.packs:
            raise UserError(f"hydra/launcher={self._pool.name}: packs need a sweeper that plans, hydra/sweeper=grid")
        self._context, self._train, self._config = hydra_context, task_function, config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Train a trial for each list of overrides; an Outcome of each, in a JobReturn that Hydra counts as completed.

        Raises:
            UserError: if a trial cannot start; none was started.
            Interrupted: after a signal, the running trials having saved their state.
        """
        from recurrent_cells.sweeps.drive import drive
        from recurrent_cells.sweeps.feeds import GridFeed
        from recurrent_cells.sweeps.plan import plan_trial
        from recurrent_cells.tracking.store import open_store

        compose = Composer(self._context.config_loader, self._config)
        common = set(job_overrides[0]).intersection(*job_overrides[1:]) if len(job_overrides) > 1 else set()
        trials = []
        for overrides in job_overrides:
            pairs = (override.partition("=") for override in overrides if override not in common)
            varied = {key: value for key, _, value in pairs}
            trials.append(plan_trial(Point(tuple(overrides), varied, compose(overrides))))
        config = trials[0].config
        store = open_store(config.tracking.experiment, config.tracking.patience)
        self._pool.prepare(once(self._train), self._config, store)
        feed = GridFeed(trials)
        drive(feed, self._pool, store, None, config.sweep.retries)
        return [_job_return(trial, feed.outcomes[trial.fingerprint]) for trial in trials]


def _job_return(trial: "Trial", outcome: Outcome) -> JobReturn:
    job = JobReturn(overrides=trial.overrides, status=JobStatus.COMPLETED)
    job.return_value = outcome
    return job
