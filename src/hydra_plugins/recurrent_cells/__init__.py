"""The door by which Hydra finds sweepers and pools: it accepts only classes defined in this package."""

import inspect
from dataclasses import dataclass, make_dataclass
from typing import Any

from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.config_store import ConfigStore
from hydra.plugins.search_path_plugin import SearchPathPlugin

from recurrent_cells.sweeps import launchers, sweeper
from recurrent_cells.sweeps.search import sweeper as search
from recurrent_cells.sweeps.search.settings import SearchSettings
from recurrent_cells.tables import POOLS


class GridSweeper(sweeper.GridSweeper):
    """`hydra/sweeper=grid`."""

    def sweep(self, arguments: list[str]) -> Any:
        return _concluded(super().sweep(arguments))


class OptunaSweeper(search.OptunaSweeper):
    """`hydra/sweeper=optuna`."""

    def sweep(self, arguments: list[str]) -> Any:
        return _concluded(super().sweep(arguments))


class PoolLauncher(launchers.PoolLauncher):
    """`hydra/launcher=NAME`, NAME being a pool."""


class PoolOptions(SearchPathPlugin):
    """Makes the pools known before each composition, those of a user's files too."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        for name in POOLS.names:
            _store("launcher", name, _options_of(name))


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
    objectives: list[str] | None = None
    seed: int = SearchSettings.seed
    startup_trials: int = SearchSettings.startup_trials
    min_evaluations: int | None = SearchSettings.min_evaluations
    reduction_factor: int | None = SearchSettings.reduction_factor
    seeds: int = SearchSettings.seeds
    params: dict[str, str] | None = None


def _options_of(pool: str) -> type:
    """The keys of `hydra.launcher`: the arguments of a pool's constructor with their types and defaults."""
    arguments = inspect.signature(POOLS[pool], eval_str=True).parameters.values()
    target = ("_target_", str, f"{__name__}.PoolLauncher")
    return make_dataclass(
        pool, [target, ("pool", str, pool), *((it.name, it.annotation, it.default) for it in arguments)]
    )


def _store(group: str, name: str, node: type) -> None:
    ConfigStore.instance().store(group=f"hydra/{group}", name=name, node=node, provider="recurrent_cells")


def _concluded(swept: Any) -> Any:
    """End the command: what a sweep came to, its report and its champion; nothing of a dry run."""
    if swept is None:
        return {}
    from recurrent_cells.cli.conclusion import conclude  # here: drawing is needed at the end alone

    return conclude(swept)


_store("sweeper", "grid", GridSweeperConfig)
_store("sweeper", "optuna", OptunaSweeperConfig)
