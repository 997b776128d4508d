"""The door by which Hydra finds src.sweeps: it accepts only classes defined in this package."""

from dataclasses import dataclass
from typing import Any

from hydra.core.config_store import ConfigStore

from src.sweeps import sweeper
from src.sweeps.launchers import local, packed


class GridSweeper(sweeper.GridSweeper):
    """`hydra/sweeper=grid`."""


class LocalLauncher(local.LocalLauncher):
    """`hydra/launcher=local`."""


class PackedLauncher(packed.PackedLauncher):
    """`hydra/launcher=packed`."""


@dataclass
class GridSweeperConfig:
    _target_: str = "hydra_plugins.recurrent_cells.GridSweeper"
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


ConfigStore.instance().store(group="hydra/sweeper", name="grid", node=GridSweeperConfig, provider="recurrent_cells")
ConfigStore.instance().store(group="hydra/launcher", name="local", node=LocalLauncherConfig, provider="recurrent_cells")
ConfigStore.instance().store(
    group="hydra/launcher", name="packed", node=PackedLauncherConfig, provider="recurrent_cells"
)
