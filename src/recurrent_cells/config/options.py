"""The settings that a cell has of its own, `model.options.NAME`."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from recurrent_cells.config.rules import Rule, of_keywords
from recurrent_cells.tables import CELLS


@dataclass(frozen=True)
class Option:
    """A setting of one cell alone, `model.options.NAME`: its default, its meaning and what it may be."""

    default: Any
    meaning: str
    rule: Rule


def options_of(cell: str) -> Mapping[str, Option]:
    """The settings of a cell by name; those of the package's cells without their classes, which import torch."""
    written = _written()
    return written[cell] if cell in written else getattr(CELLS[cell], "options", {})


@cache
def _written() -> dict[str, dict[str, Option]]:
    """The settings by cell that the JSON schema of conf/model has, where `config.editor` writes them."""
    schema = json.loads((files("recurrent_cells.conf") / "model.schema.json").read_text())
    return {
        case["if"]["properties"]["cell"]["const"]: {
            name: Option(it["default"], it["description"], of_keywords(it["anyOf"][0]))
            for name, it in case["then"]["properties"]["options"]["properties"].items()
        }
        for case in schema["allOf"]
    }
