"""Classes that have names."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from recurrent_cells.data.sources import Part
from recurrent_cells.errors import UserError


def by_name(parts: Sequence[Part], names: Sequence[str] | None = None) -> list[Part]:
    """Parts whose targets are names with the places of these in the place of the names; others as they are.

    Args:
        names: of all classes in their order; None: those of the first part, numbers by size and others by alphabet.

    Raises:
        UserError: if an example has another name.
    """
    if any(part.targets.dtype.kind not in "US" for part in parts):
        return list(parts)
    parts = [replace(part, targets=_as_text(part)) for part in parts]
    known = _in_order(np.unique(parts[0].targets).tolist()) if names is None else list(names)
    place = {name: number for number, name in enumerate(known)}
    named = []
    for part in parts:
        targets = part.targets
        if unknown := sorted(set(targets.flat) - place.keys()):
            shown = ", ".join(known[:10]) + (", …" if len(known) > 10 else "")
            raise UserError(f"{part.place}: the class {unknown[0]} is none of those to train on, {shown}")
        numbers = np.array([place[name] for name in targets.flat], dtype=np.int64).reshape(targets.shape)
        named.append(replace(part, targets=numbers, class_names=tuple(known)))
    return named


def _as_text(part: Part) -> NDArray[np.str_]:
    if part.targets.dtype.kind == "U":
        return part.targets
    try:
        return np.char.decode(part.targets, "utf-8")
    except UnicodeDecodeError:
        raise UserError(f"{part.place}: names of classes are bytes that are not UTF-8") from None


def _in_order(names: list[str]) -> list[str]:
    try:
        return sorted(names, key=float)
    except ValueError:
        return sorted(names)
