"""What can be given to a trial, written out from the schema."""

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from importlib.resources import files

from hydra.core.config_store import ConfigStore

from recurrent_cells.config.schema import Config, allowed, as_typed, default_of, schema_fields
from recurrent_cells.tables import POOLS

FLAGS = """Hydra's flags: --cfg job (shows what a command line makes), --info, --config-dir; --hydra-help has them all.
--help KEY says all about one key. The shell completes keys and options after:"""
# The line that has a shell complete the script's command line; {} is the shell.
COMPLETION = 'eval "$(recurrent-cells train -sc install={})"'


def schema_help() -> Iterator[str]:
    """A line for each key, with its default, its meaning and what it may be, by sections."""
    yield "KEY=DEFAULT, what it is, and what is allowed; a file of a group (model=gru) brings values of its own."
    yield from _keys("")
    for section in fields(Config):
        if is_dataclass(section.type):
            yield ""
            yield from section_help(section.name)
    yield f"\nexperiment={'|'.join(options('experiment'))}: published networks"
    yield f"problem={'|'.join(options('problem'))}: data with readout, batches and budget, for any model"
    yield f"+sweep={'|'.join(options('sweep'))}: sweeps, with -m, as any KEY=VALUE,VALUE is"
    yield f"+study={'|'.join(options('study'))}: sweeps with a question and a report, with -m"
    yield f"hydra/launcher={'|'.join(POOLS.names)}: where the trials of a sweep run; hydra/sweeper=grid|optuna"


def section_help(name: str) -> Iterator[str]:
    """The heading of a section with the options of a group, and a line for each key."""
    (kind,) = (item.type for item in fields(Config) if item.name == name)
    choices = [] if name in ("sweep", "study") else options(name)  # those of +sweep= fill other sections
    yield f"{name}{'=' if choices else ''}{'|'.join(choices)}: {kind.__doc__}"
    yield from _keys(f"{name}.")


def options(group: str) -> list[str]:
    """The options of a config group, those of extensions included."""
    folder = files("recurrent_cells.conf") / group
    stems = {file.name.removesuffix(".yaml") for file in folder.iterdir()} if folder.is_dir() else set()
    stored = ConfigStore.instance().repo.get(group, {})
    return sorted(stems | {name.removesuffix(".yaml") for name in stored})


def _keys(section: str) -> Iterator[str]:
    for name, item in schema_fields():
        if name.startswith(section) and name.count(".") == section.count("."):
            default = f"{name}={as_typed(default_of(item))}"
            yield f"  {default:<30} {item.metadata['meaning']} ({allowed(name)})"
