"""Config files of the user's own and of runs, read as Hydra reads them but for those that would never end."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml
from hydra._internal.core_plugins.file_config_source import FileConfigSource
from hydra._internal.sources_registry import SourcesRegistry
from hydra.core.plugins import Plugins
from hydra.plugins.config_source import ConfigResult
from omegaconf import DictConfig, ListConfig, OmegaConf

from recurrent_cells.errors import UserError, first_line

MOST_VALUES = 100_000


class LimitedFiles(FileConfigSource):
    """Hydra's source of config files, which refuses aliases that unfold to more values than a config can have."""

    def load_config(self, config_path: str) -> ConfigResult:
        """Hydra's own; raises UserError for a file that is no config."""
        path = Path(self.path) / self._normalize_file_name(config_path)
        with _faults_named(str(path)):
            _check_aliases(path.read_bytes(), str(path))
            return super().load_config(config_path)


def limit_files() -> None:
    """Have Hydra read all config files in folders so."""
    Plugins.instance()  # which makes Hydra's own source known, once
    SourcesRegistry.instance().types[LimitedFiles.scheme()] = LimitedFiles


def parse_config(content: bytes, name: str) -> DictConfig | ListConfig:
    """What a config file holds; raises UserError, with its name, for one that is no config."""
    with _faults_named(name):
        _check_aliases(content, name)
        return OmegaConf.create(content.decode())


@contextmanager
def _faults_named(name: str) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise UserError(f"{name}: cannot be read as YAML of a config ({_reason(error)})") from None


def _check_aliases(content: bytes, name: str) -> None:
    count = _values(yaml.compose(content, Loader=yaml.SafeLoader), {})
    if count > MOST_VALUES:
        raise UserError(f"{name}: its aliases unfold to {count:,} values; allowed are {MOST_VALUES:,}")


def _reason(error: Exception) -> str:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        return f"line {error.problem_mark.line + 1}: {error.problem}"
    return first_line(error)


def _values(node: yaml.Node, known: dict[int, int]) -> int:
    """How many values a node unfolds to: what an alias repeats counts each time, but is walked once."""
    if not isinstance(node, yaml.CollectionNode):
        return 1
    if id(node) not in known:
        known[id(node)] = 0  # of a node within itself
        parts = node.value if isinstance(node, yaml.SequenceNode) else [part for pair in node.value for part in pair]
        known[id(node)] = 1 + sum(_values(part, known) for part in parts)
    return known[id(node)]
