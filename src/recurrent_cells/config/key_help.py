"""All about one key: what it means, what it may be, its default, and the config files that set it."""

from collections.abc import Iterator, Mapping
from dataclasses import fields
from functools import cache
from importlib import resources
from types import UnionType
from typing import Any, get_args, get_origin

from omegaconf import OmegaConf

from recurrent_cells.config.extensions import option
from recurrent_cells.config.help import options, section_help
from recurrent_cells.config.messages import unknown_key
from recurrent_cells.config.schema import Config, allowed, as_typed, default_of, schema_fields
from recurrent_cells.errors import UserError
from recurrent_cells.tables import CELLS

OPTIONS = "model.options."
TYPES = {bool: "true or false", int: "integer", float: "number", str: "text", type(None): "null"}


def key_help(key: str) -> Iterator[str]:
    """What there is to say of a key, or of the keys of a section, in lines.

    Raises:
        UserError: if there is no such key.
    """
    item = dict(schema_fields()).get(key)
    if item is not None:
        yield f"{key}: {item.metadata['meaning']}"
        yield f"  type     {_in_words(item.type)}"
        yield f"  allowed  {allowed(key)}"
        yield f"  default  {as_typed(default_of(item))}"
        if item.metadata["block"]:
            yield "  part of the data block: configurations that differ in it are not compared"
        yield from _settings(key, default_of(item))
        if key == OPTIONS.removesuffix("."):
            yield from (f"  {name}" for name in sorted(_options()))
    elif key in (section.name for section in fields(Config)):
        yield from section_help(key)
    elif key in _options():
        yield from _option_help(key)
    else:
        raise UserError(unknown_key(key))


def _option_help(key: str) -> Iterator[str]:
    """Of a setting of some cells alone; their files are the only ones imported."""
    cells: dict[tuple[str, str, str], list[str]] = {}
    for cell in _options()[key]:
        option = CELLS[cell].options[key.removeprefix(OPTIONS)]
        cells.setdefault((option.meaning, option.rule.words, as_typed(option.default)), []).append(cell)
    for (meaning, words, default), alike in cells.items():
        yield f"{key}: {meaning}"
        yield f"  of       model={','.join(alike)}"
        yield f"  allowed  {words}"
        yield f"  default  {default}"


def _options() -> dict[str, list[str]]:
    """The cells that have a setting of their own, by its key, as their config files and extensions list them."""
    found: dict[str, list[str]] = {}
    for cell in options("model"):
        for name in option("model", cell).get("options", {}):
            found.setdefault(f"{OPTIONS}{name}", []).append(cell)
    return found


def _settings(key: str, default: Any) -> Iterator[str]:
    """The config files that set a key to another value than its default."""
    groups: dict[tuple[str, str], list[str]] = {}
    for file, values in _files():
        if key in values and values[key] != default:
            folder, _, name = file.removesuffix(".yaml").rpartition("/")
            groups.setdefault((as_typed(values[key]), f"conf/{folder}/" if folder else "conf/"), []).append(name)
    for (value, folder), names in groups.items():
        files = names[0] if len(names) == 1 else f"{{{','.join(names)}}}"
        yield f"  set to   {value} by {folder}{files}.yaml"


def _files() -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The package's config files by their names, with the values that they set by dotted key."""
    folder = resources.files("recurrent_cells.conf")
    groups = sorted((it for it in folder.iterdir() if it.is_dir()), key=lambda it: it.name)
    for group in groups:
        for file in sorted(group.iterdir(), key=lambda it: it.name):
            if file.name.endswith(".yaml"):
                text = file.read_text()
                prefix = "" if text.startswith("# @package _global_") else f"{group.name}."
                yield f"{group.name}/{file.name}", dict(_leaves(_read(text), prefix))
    yield "config.yaml", dict(_leaves(_read((folder / "config.yaml").read_text()), ""))


@cache
def _read(text: str) -> Any:
    return OmegaConf.to_container(OmegaConf.create(text), resolve=False)


def _leaves(tree: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    for name, value in tree.items():
        yield f"{prefix}{name}", value
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{name}.")


def _in_words(kind: Any) -> str:
    if isinstance(kind, UnionType):
        return " or ".join(map(_in_words, get_args(kind)))
    if get_origin(kind) is list:
        return f"list of {_in_words(get_args(kind)[0])}s".replace("texts", "text")
    return "mapping" if get_origin(kind) is dict else TYPES.get(kind, str(kind))
