"""What has one file each, by name: cells, data sources, tasks, metrics, optimisers, pools."""

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
        files = (PACKAGE / self._folder).glob("[a-z]*.py")
        return sorted({file.stem for file in files} | self._added.keys())

    def __contains__(self, name: object) -> bool:
        return name in self.names

    def __getitem__(self, name: str) -> Any:
        """The class of a name; raises KeyError for another than `names`."""
        if name in self._added:
            return self._added[name]
        if name not in self.names:
            raise KeyError(name)
        module = import_module(".".join([PACKAGE.name, *Path(self._folder).parts, name]))
        classes = (it for it in vars(module).values() if isinstance(it, type) and it.__module__ == module.__name__)
        return next(it for it in classes if getattr(it, "name", None) == name)

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
