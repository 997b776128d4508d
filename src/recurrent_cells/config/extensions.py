"""Files of the user that add a cell, a data source, a task, a metric, an optimiser or a pool."""

import hashlib
import json
import os
import sys
import traceback
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.resources import files
from pathlib import Path
from types import ModuleType
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Quote, QuotedString
from omegaconf import OmegaConf

from recurrent_cells.config.options import options_of
from recurrent_cells.config.schema import Config, DataConfig, ModelConfig, OptimizerConfig
from recurrent_cells.errors import UserError, first_line
from recurrent_cells.paths import of_user
from recurrent_cells.tables import CELLS, METRICS, OPTIMIZERS, SOURCES, TASKS, Table

# The group of a table's config files, the section of the schema they fill, and the key of it that has the name.
GROUPS: dict[Table, tuple[str, type[Any], str]] = {
    CELLS: ("model", ModelConfig, "cell"),
    SOURCES: ("data", DataConfig, "name"),
    OPTIMIZERS: ("optimizer", OptimizerConfig, "name"),
}
# The tag of a run with the digests of the files that it used, in the order of its paths, commas between.
DIGESTS = "extensions.digest"
# The digests by path that this process, or the one that launched it, has loaded: no trial of a sweep takes others.
DIGESTS_VARIABLE = "RECURRENT_CELLS_EXTENSIONS"
# Of a file of code.
MOST_BYTES = 10_000_000


@dataclass(frozen=True)
class Extension:
    """A file that was loaded, the SHA-256 of its content, and the classes that it added."""

    path: Path
    digest: str
    classes: tuple[type[Any], ...]


_loaded: dict[Path, Extension] = {}


def load_given(arguments: Sequence[str]) -> list[str]:
    """Load the files that `extensions=[…]` names among a command line's arguments; those with the paths absolute.

    Raises:
        UserError: as `load`.
    """
    made = list(arguments)
    for place, argument in enumerate(arguments):
        if not argument.lstrip("+").startswith("extensions="):
            continue
        override = OverridesParser.create().parse_override(argument)
        if override.is_sweep_override():
            raise UserError(f"{argument}: a sweep has one list of files; give extensions=[FILE,FILE]")
        value = override.value()
        named = value if isinstance(value, list) else [value]
        paths = [str(_absolute(str(path))) for path in named]
        load(paths)
        made[place] = f"extensions=[{','.join(QuotedString(path, Quote.single).with_quotes() for path in paths)}]"
    return made


def load(paths: Sequence[str]) -> None:
    """Add what files define to the tables, each file once in a process.

    Raises:
        UserError: if a file is missing, cannot be imported, adds nothing, or adds a name that there is already.
    """
    for path in map(_absolute, paths):
        if path not in _loaded:
            _loaded[path] = _imported(path)


def load_recorded(paths: Sequence[str], tags: Mapping[str, str], store: Path) -> None:
    """Load the files that a run used, each if its content is still what the run's tags have the digest of.

    Raises:
        UserError: if one is gone or has changed, or lies among the files of a store's runs, and as `load`.
    """
    for path in paths:
        if any(_absolute(path).resolve().is_relative_to((store / runs).resolve()) for runs in ("artifacts", "trials")):
            raise UserError(f"extensions=[{path}]: lies among the files of runs, of which none is run as code; move it")
    recorded = dict(zip(paths, tags.get(DIGESTS, "").split(","), strict=False))
    for path in paths:
        known = _loaded.get(_absolute(path))
        if (known.digest if known else _digest(_read(_absolute(path)))) != recorded.get(path):
            raise UserError(f"extensions=[{path}]: the file has changed since the run used it; bring that version back")
        load([path])


def used_by(config: Config) -> list[Extension]:
    """The loaded files that a trial uses: for its cell, its data, its task, the task's metric or its optimiser."""
    names = {
        (CELLS, config.model.cell),
        (SOURCES, config.data.name),
        (TASKS, config.task),
        (OPTIMIZERS, config.optimizer.name),
    }
    added = {(cls.table, cls.name): cls for it in _loaded.values() for cls in it.classes}
    if (TASKS, config.task) in added:
        names.add((METRICS, added[TASKS, config.task].metric))
    return [it for it in _loaded.values() if any((cls.table, cls.name) in names for cls in it.classes)]


def clear() -> None:
    """Forget all that was loaded."""
    for extension in _loaded.values():
        for cls in extension.classes:
            cls.table.clear()
            if cls.table in GROUPS:
                ConfigStore.instance().repo[GROUPS[cls.table][0]].pop(f"{cls.name}.yaml", None)
    _loaded.clear()
    os.environ.pop(DIGESTS_VARIABLE, None)


def _absolute(path: str) -> Path:
    return of_user(path).absolute()


def _imported(path: Path) -> Extension:
    content = _read(path)
    digest = _digest(content)
    digests = json.loads(os.environ.get(DIGESTS_VARIABLE, "{}"))
    if digests.get(str(path), digest) != digest:
        raise UserError(f"extensions=[{path}]: the file has changed since the sweep began; start the sweep again")
    module = _module(path, content, digest)
    classes = [cls for cls in vars(module).values() if _is_addition(cls, module)]
    if not classes:
        raise UserError(
            f"extensions=[{path}]: adds nothing; allowed are classes with a name and a base of this package "
            "(a cell, a source, a task, a metric, an optimiser or a pool)"
        )
    for cls in classes:
        if not str(cls.name).isidentifier() or cls.name in cls.table:
            why = "is taken" if cls.name in cls.table else "is none: allowed are letters, digits and _"
            raise UserError(f"extensions=[{path}]: the name {cls.name!r} of {cls.__name__} {why}; choose another")
        cls.table.add(cls)
        if cls.table in GROUPS:
            _store(cls)
    os.environ[DIGESTS_VARIABLE] = json.dumps(digests | {str(path): digest})
    return Extension(path, digest, tuple(classes))


def _read(path: Path) -> bytes:
    """Raises UserError if the file is missing, is none (a pipe or a device may never end) or is too large for code."""
    try:
        if path.exists() and not path.is_file():
            raise UserError(f"extensions=[{path}]: is not a file; give a Python file")
        if path.stat().st_size > MOST_BYTES:
            raise UserError(f"extensions=[{path}]: allowed are {MOST_BYTES:,} bytes of code")
        return path.read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"extensions=[{path}]: cannot be read ({reason})") from None


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _module(path: Path, content: bytes, digest: str) -> ModuleType:
    """Run a file as a module with a name of its own, known to pickle."""
    module = ModuleType(f"recurrent_cells_extension_{digest[:16]}")
    module.__file__ = str(path)
    sys.modules[module.__name__] = module
    try:
        exec(compile(content, path, "exec"), module.__dict__)  # not what Python may have cached of the file
    except (Exception, SystemExit) as error:
        del sys.modules[module.__name__]
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
        place = f", line {lines[-1]}" if lines else ""
        raise UserError(f"extensions=[{path}]{place}: {type(error).__name__}: {first_line(error)}") from error
    return module


def _is_addition(thing: Any, module: ModuleType) -> bool:
    is_own = isinstance(thing, type) and thing.__module__ == module.__name__
    return is_own and "name" in vars(thing) and isinstance(getattr(thing, "table", None), Table)


def _store(cls: type[Any]) -> None:
    """Make a class an option of its config group; what a config file of that name says goes before."""
    warnings.filterwarnings("ignore", message=r"\s*'.*' is validated against ConfigStore schema")
    group, section, key = GROUPS[cls.table]
    values = asdict(section())
    if cls.table is CELLS:  # which differ in nothing else
        values = option("model", "lstm") | {"options": {name: it.default for name, it in options_of(cls.name).items()}}
    node = {**values, **getattr(cls, "defaults", {}), key: cls.name}
    ConfigStore.instance().store(group=group, name=cls.name, node=node, provider="recurrent_cells")


def option(group: str, name: str) -> dict[str, Any]:
    """What an option of a config group says, in the package or by an extension."""
    file = files("recurrent_cells.conf") / group / f"{name}.yaml"
    if file.is_file():
        node = OmegaConf.create(file.read_text())
    else:
        node = ConfigStore.instance().load(f"{group}/{name}.yaml").node
    values = OmegaConf.to_container(node)
    assert isinstance(values, dict)
    return {str(key): value for key, value in values.items()}
