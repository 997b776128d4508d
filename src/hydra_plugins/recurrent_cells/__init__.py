"""The door by which Hydra finds recurrent_cells.sweeps: it accepts only classes defined in this package."""

from dataclasses import dataclass, field
from typing import Any

from hydra.core.config_store import ConfigStore

from recurrent_cells.sweeps import sweeper
from recurrent_cells.sweeps.pools import local, packed
from recurrent_cells.sweeps.pools.ray import launcher as ray
from recurrent_cells.sweeps.search import sweeper as search
from recurrent_cells.sweeps.search.settings import SearchSettings


class GridSweeper(sweeper.GridSweeper):
    """`hydra/sweeper=grid`."""


class OptunaSweeper(search.OptunaSweeper):
    """`hydra/sweeper=optuna`."""


class LocalLauncher(local.LocalLauncher):
    """`hydra/launcher=local`."""


class PackedLauncher(packed.PackedLauncher):
    """`hydra/launcher=packed`."""


class RayLauncher(ray.RayLauncher):
    """`hydra/launcher=ray`."""


@dataclass
class GridSweeperConfig:
    _target_: str = "hydra_plugins.recurrent_cells.GridSweeper"
    params: dict[str, str] | None = None


@dataclass
class OptunaSweeperConfig:
    _target_: str = "hydra_plugins.recurrent_cells.OptunaSweeper"
    n_trials: int = SearchSettings.n_trials
    sampler: str = SearchSettings.sampler
    pruner: str = SearchSettings.pruner
    objectives: list[str] = field(default_factory=lambda: list(SearchSettings.objectives))
    seed: int = SearchSettings.seed
    startup_trials: int = SearchSettings.startup_trials
    min_evaluations: int = SearchSettings.min_evaluations
    reduction_factor: int = SearchSettings.reduction_factor
    params: dict[str, str] | None = None


@dataclass
class LocalLauncherConfig:
    _target_: str = "hydra_plugins.recurrent_cells.LocalLauncher"
    slots: int | None = None


@dataclass
class PackedLauncherConfig:
    _target_: str = "hydra_plugins.recurrent_cells.PackedLauncher"
    slots: int | None = None
    max_pack: Any = packed.AUTO


@dataclass
class RayLauncherConfig:
    _target_: str = "hydra_plugins.recurrent_cells.RayLauncher"
    address: str | None = None
    num_cpus: float = 1.0
    num_gpus: float | None = None
    max_pack: Any = None


ConfigStore.instance().store(group="hydra/sweeper", name="grid", node=GridSweeperConfig, provider="recurrent_cells")
ConfigStore.instance().store(group="hydra/sweeper", name="optuna", node=OptunaSweeperConfig, provider="recurrent_cells")
ConfigStore.instance().store(group="hydra/launcher", name="local", node=LocalLauncherConfig, provider="recurrent_cells")
ConfigStore.instance().store(
    group="hydra/launcher", name="packed", node=PackedLauncherConfig, provider="recurrent_cells"
)
ConfigStore.instance().store(group="hydra/launcher", name="ray", node=RayLauncherConfig, provider="recurrent_cells")
