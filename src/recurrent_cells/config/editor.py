"""JSON schemas of config files, for editors and checkers: python -m recurrent_cells.config.editor FOLDER."""

import json
import sys
from collections.abc import Mapping
from dataclasses import Field, fields, is_dataclass
from pathlib import Path
from types import NoneType
from typing import Any, get_args, get_origin

from recurrent_cells.config.rules import Rule
from recurrent_cells.config.schema import Config, default_of
from recurrent_cells.tables import CELLS

Schema = dict[str, Any]

TYPES = {
    str: "string",
    int: "integer",
    float: "number",
    bool: "boolean",
    list: "array",
    dict: "object",
    NoneType: "null",
}
# A value that OmegaConf finds when the config is composed.
LATER = {"type": "string", "pattern": r"^(\$\{|\?\?\?$)"}
# What Hydra reads in any config file.
OF_HYDRA: Schema = {"defaults": {"type": "array"}, "hydra": {"type": "object"}}


def schemas() -> dict[str, Schema]:
    """A schema for the files of each config group by its name, and `config` for those that may set every key."""
    sections = {item.name: _section(item.type) for item in fields(Config) if is_dataclass(item.type)}
    groups = {name: sections[name] for name in ("model", "data", "optimizer", "trainer")}
    groups["model"] |= {"allOf": [_options(cell) for cell in CELLS.names]}
    return groups | {"config": _section(Config)}


def write(folder: Path) -> None:
    """Write each schema to NAME.schema.json."""
    for name, schema in schemas().items():
        text = json.dumps({"$schema": "http://json-schema.org/draft-07/schema#"} | schema, indent=1)
        (folder / f"{name}.schema.json").write_text(f"{text}\n")


def _section(cls: Any) -> Schema:
    properties = {it.name: _section(it.type) if is_dataclass(it.type) else _leaf(it) for it in fields(cls)}
    return {
        "description": cls.__doc__,
        "type": "object",
        "properties": OF_HYDRA | properties,
        "additionalProperties": False,
    }


def _options(cell: str) -> Schema:
    """What `options` may have in the file of a cell; `options_of` reads it."""
    properties = {
        name: {"description": it.meaning, "default": it.default, "anyOf": [it.rule.keywords, LATER]}
        for name, it in CELLS[cell].options.items()
    }
    options = {"properties": properties, "additionalProperties": False}
    return {
        "if": {"properties": {"cell": {"const": cell}}, "required": ["cell"]},
        "then": {"properties": {"options": options}},
    }


def _leaf(item: Field[Any]) -> Schema:
    rule: Rule | None = item.metadata["rule"]
    kinds = [item.type] if get_origin(item.type) in (list, dict) else get_args(item.type) or [item.type]
    allowed = [_of_type(kind, rule.keywords if rule else {}) for kind in kinds]
    return {"description": item.metadata["meaning"], "default": default_of(item), "anyOf": [*allowed, LATER]}


def _of_type(kind: Any, keywords: Mapping[str, Any]) -> Schema:
    origin = get_origin(kind) or kind
    schema: Schema = {"type": TYPES[origin]}
    if origin is list:
        schema["items"] = _of_type(get_args(kind)[0], {})
    return schema if kind is NoneType else schema | dict(keywords)


if __name__ == "__main__":
    write(Path(sys.argv[1]))
