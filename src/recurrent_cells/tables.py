"""What has one file each, by name: cells, data sources, tasks, metrics, optimisers, pools."""

from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import Any

from recurrent_cells.paths import PACKAGE


class Table:
    """The classes of one kind by name: one in each module of a folder of the package, and those of extensions.

    The names are those of the files, so that they are known without an import; the class of a file has its name in
    the attribute `name`.
    """

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._added: dict[str, type[Any]] = {}

    @property
    def names(self) -> list[str]:
        return sorted(self._own | self._added.keys())

    @cached_property
    def _own(self) -> set[str]:
        return {file.stem for file in (PACKAGE / self._folder).glob("[a-z]*.py")}

    def __contains__(self, name: object) -> bool:
        return name in self._own or name in self._added

    def __getitem__(self, name: str) -> Any:
        """The class of a name; raises KeyError for another than `names`."""
        if name in self._added:
            return self._added[name]
        if name not in self._own:
            raise KeyError(name)
        module = import_module(".".join([PACKAGE.name, *Path(self._folder).parts, name]))
        classes = [it for it in vars(module).values() if isinstance(it, type) and getattr(it, "table", None) is self]
        return next(cls for cls in classes if getattr(cls, "name", None) == name)

    def add(self, thing: type[Any]) -> None:
        """Take in the class of an extension."""
        self._added[thing.name] = thing

    def clear(self) -> None:
        """Forget the classes of extensions."""
        self._added.clear()


CELLS = Table("models/cells")
SOURCES = Table("data/sources")
TASKS = Table("tasks")
METRICS = Table("tasks/metrics")
OPTIMIZERS = Table("training/optimizers")
POOLS = Table("sweeps/pools")
