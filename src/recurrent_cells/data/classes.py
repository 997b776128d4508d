"""Classes that have names."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

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
    known = _in_order(np.unique(parts[0].targets.astype(str)).tolist()) if names is None else list(names)
    place = {name: number for number, name in enumerate(known)}
    named = []
    for part in parts:
        targets = part.targets.astype(str)
        if unknown := sorted(set(targets.flat) - place.keys()):
            shown = ", ".join(known[:10]) + (", …" if len(known) > 10 else "")
            raise UserError(f"{part.place}: the class {unknown[0]} is none of those to train on, {shown}")
        numbers = np.array([place[name] for name in targets.flat], dtype=np.int64).reshape(targets.shape)
        named.append(replace(part, targets=numbers, class_names=tuple(known)))
    return named


def _in_order(names: list[str]) -> list[str]:
    try:
        return sorted(names, key=float)
    except ValueError:
        return sorted(names)
