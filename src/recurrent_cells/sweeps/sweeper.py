"""Hydra's sweeper plugins: light until every config has passed."""

import stat
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

from recurrent_cells.config.schema import StudyConfig, SweepConfig, TrackingConfig
from recurrent_cells.config.validation import check_own_keys
from recurrent_cells.errors import UserError
from recurrent_cells.imports import uncollected
from recurrent_cells.paths import of_user
from recurrent_cells.sweeps.grid import Composer, check_examples, compose_grid
from recurrent_cells.sweeps.launchers import check_folder, pool_of
from recurrent_cells.sweeps.view import say
from recurrent_cells.tracking.store import tables_made_beside
from recurrent_cells.trial.claim import once
from recurrent_cells.trial.fingerprint import CIRCUMSTANCES, is_within

if TYPE_CHECKING:
    from recurrent_cells.sweeps.sweep import Runner, Swept

# Keys that do not tell what a sweep is made of.
UNNAMED = ("hydra", "sweep", *CIRCUMSTANCES)
# The key of which a part of a study takes some values; keys that say how a start runs, not what is studied.
PART = "problem"
OF_A_START = (
    *("hydra", "study", *CIRCUMSTANCES),
    *(f"sweep.{name}" for name in ("rerun", "dry_run", "retries", "budget", "stop_after_failures", "report")),
)
# The seeds with which `sweep.until=decided` begins where none are given.
FIRST_LOOK = {"seed": "0,1,2"}


class TrialSweeper(Sweeper):
    """What the sweepers of this project have in common: the same command again does what is missing and nothing else.

    Args:
        params: the sweep's own choices, replaced key by key by those on the command line.
    """

    def __init__(self, params: Mapping[str, str] | None = None) -> None:
        self.params = dict(params or {})

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Raises UserError if the options of the pool, or keys that are not the user's, will not do."""
        check_own_keys(config.sweep)
        check_folder(config.hydra.sweep.dir)
        check_archive(config.sweep.archive)
        self.loader, self.config = hydra_context.config_loader, config
        self.train = once(task_function)
        self.pool = pool_of(hydra_context, task_function, config)

    def runner(self, arguments: list[str]) -> "Runner":
        """What runs the sweep; imports heavily, so that every config should have passed before."""
        from recurrent_cells.sweeps.sweep import Runner

        sweep, tracking = self.settings()
        study = self.study(arguments)
        given = any(argument.startswith("sweep.archive=") for argument in arguments)
        if study is None and self.config.study.name is not None and not given:
            sweep.archive = None  # that of the study
        part = study is not None and any(argument.startswith(f"{PART}=") for argument in arguments)
        return Runner(self.pool, self.train, self.config, sweep, tracking, self.name(arguments), study, part)

    def settings(self) -> tuple[SweepConfig, TrackingConfig]:
        """How the sweep runs, and where its runs go."""
        sweep, tracking = OmegaConf.to_object(self.config.sweep), OmegaConf.to_object(self.config.tracking)
        assert isinstance(sweep, SweepConfig)
        assert isinstance(tracking, TrackingConfig)
        return sweep, tracking

    def study(self, arguments: Sequence[str]) -> StudyConfig | None:
        """The study that the sweep is; None if it is none, or if arguments make it another sweep."""
        study = OmegaConf.to_object(self.config.study)
        assert isinstance(study, StudyConfig)
        if study.name is None:
            return None
        if others := [argument for argument in arguments if not self._keeps_study(argument)]:
            say(f"with {' '.join(others)} this is not the study {study.name}: its trials and its page stay as they are")
            return None
        return study

    def _keeps_study(self, argument: str) -> bool:
        """Whether an argument leaves a study what its file says, or takes a part of it."""
        key, _, value = argument.lstrip("+").partition("=")
        parts = self.params.get(PART, "").replace(" ", "").split(",")
        return is_within(key, OF_A_START) or (key == PART and set(value.split(",")) <= set(parts))

    def name(self, arguments: list[str]) -> str:
        """What the sweep is made of, an argument in the place of what it replaces, without where and how it runs."""
        parts = {key: f"{key}={value}" for key, value in self.params.items()}
        parts |= {argument.partition("=")[0].lstrip("+"): argument for argument in arguments}
        said = [part for key, part in parts.items() if not is_within(key, UNNAMED)]
        return " ".join(said)[:250] or "sweep"


def check_archive(archive: str | None) -> None:
    """Raises UserError if a sweep could not write its archive at its end."""
    if archive is None:
        return
    path = of_user(archive)
    try:
        with suppress(FileNotFoundError):
            if not stat.S_ISREG(path.stat().st_mode):  # exists() takes names that nothing can have for free
                raise UserError(
                    f"sweep.archive={archive}: is not a file; give the name of a Parquet file, there or not yet"
                )
        with tempfile.TemporaryFile(dir=next(folder for folder in path.absolute().parents if folder.exists())):
            pass
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"sweep.archive={archive}: cannot be written ({reason}); choose another place") from None


class GridSweeper(TrialSweeper):
    """Every combination of the choices on the command line and in `hydra.sweeper.params`."""

    def sweep(self, arguments: list[str]) -> "Swept | None":
        """Run the sweep, or tell of it; raises as `plan_sweep` and `run_sweep`, whose answer it gives."""
        first, second = ([dict(phase) for phase in self.config.sweep.phases] + [{}, {}])[:2]
        chosen = {key: choices for key, choices in first.items() if key != "seed"}
        begin = FIRST_LOOK if self.config.sweep.until == "decided" else {}
        compose = Composer(self.loader, self.config)
        points = compose_grid(compose, begin | self.params | chosen | second, arguments)
        tuning = compose_grid(compose, self.params | first, arguments) if first else []
        check_examples([*points, *tuning])
        sweep, tracking = self.settings()
        if sweep.dry_run:
            with uncollected():
                from recurrent_cells.sweeps.dry_run import show_sweep
            show_sweep(points, tuning, sweep, tracking.experiment)
            return None

        with tables_made_beside():
            with uncollected():
                from recurrent_cells.sweeps.dry_run import plan_sweep
            trials, first_phase = plan_sweep(points, tuning, sweep)
            with uncollected():  # here: what only training imports waits until every trial has passed
                from recurrent_cells.sweeps.sweep import run_sweep
            return run_sweep(trials, self.runner(arguments), first_phase, list(chosen))
