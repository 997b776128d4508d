"""Whether the arrays of a source are examples, and how numbers are brought into one form."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recurrent_cells.data.arrays import as_numbers, filled, valid_steps
from recurrent_cells.data.sources import NOT_ASKED, Part
from recurrent_cells.errors import UserError


def checked(part: Part, missing: str) -> Part:
    """A part with numbers as float32, and nothing in its padding.

    Args:
        missing: what stands for a missing number, as in `data.missing`.

    Raises:
        UserError: if its arrays are no examples.
    """
    values, targets = part.values, part.targets
    shapes = f"{part.place}: values {values.shape} and targets {targets.shape}"
    if values.ndim != 3 or values.size == 0 or targets.ndim not in (1, 2) or len(targets) != len(values):
        raise UserError(f"{shapes}; allowed are (N, H, W) or (N, T, F), and (N,), (N, T) or (N, O)")
    if part.has_steps_asked and targets.shape != values.shape[:2]:
        raise UserError(f"{shapes}; classes are (N,), or (N, T) of each step")
    lengths = _checked_lengths(part)
    if values.dtype == np.uint8 and lengths is None:
        return replace(part, targets=_checked_targets(part))
    valid = valid_steps(np.full(len(values), values.shape[1]) if lengths is None else lengths, values.shape[1])
    values = as_numbers(values, f"{part.place}: values")
    if lengths is not None:
        values = np.where(valid[..., None], values, np.float32(0))
    if missing != "refuse":
        values = filled(values, valid, missing)
    if not (finite := np.isfinite(values)).all():
        first = np.unravel_index(finite.argmin(), values.shape)
        where = "sequence {}, step {}, feature {}".format(*first)
        hint = "; data.missing=zero|mean|last fills what is missing" if np.isnan(values[first]) else ""
        raise UserError(f"{part.place}: {where} is {values[first]}, numbers that are not finite are not read{hint}")
    return replace(part, values=values, lengths=lengths, targets=_checked_targets(part))


def _checked_lengths(part: Part) -> NDArray[np.int64] | None:
    """Lengths of 1 to T."""
    if part.lengths is None:
        return None
    count, num_steps = part.values.shape[:2]
    if part.lengths.shape != (count,) or part.lengths.dtype.kind not in "iu":
        raise UserError(
            f"{part.place}: lengths {part.lengths.shape} of type {part.lengths.dtype}; allowed are {count} integers"
        )
    if wrong := part.lengths[(part.lengths < 1) | (part.lengths > num_steps)].tolist():
        raise UserError(f"{part.place}: a length is {wrong[0]}; allowed is 1 to {num_steps}, the steps of the values")
    return part.lengths.astype(np.int64)


def _checked_targets(part: Part) -> NDArray[Any]:
    """Classes as they are, those of each step with nothing asked in the padding; finite numbers as float32."""
    targets = part.targets
    if targets.dtype.kind in "iu":
        if part.has_steps_asked and part.lengths is not None:
            return np.where(valid_steps(part.lengths, targets.shape[1]), targets.astype(np.int64), NOT_ASKED)
        return targets
    targets = as_numbers(targets, f"{part.place}: targets")
    if not np.isfinite(targets).all():
        raise UserError(f"{part.place}: there are targets that are not finite")
    return targets


def check_classes(parts: Sequence[Part], num_classes: int) -> None:
    """Raises UserError for a class outside 0 … `num_classes` - 1, or one that the first part lacks."""
    train, *others = parts
    for part in parts:
        if part.has_steps_asked and (unasked := (part.targets == NOT_ASKED).all(axis=1)).any():
            raise UserError(
                f"{part.place}: sequence {unasked.argmax()}: no step has a class, all targets are {NOT_ASKED}; "
                "leave such sequences out"
            )
        if (lowest := int(asked_of(part).min())) < 0:
            raise UserError(f"{part.place}: the label {lowest} is below 0; classes are numbered from 0")
    if (highest := int(asked_of(train).max())) >= num_classes:
        raise UserError(
            f"data.num_classes={num_classes}: {train.place} has the label {highest}; "
            f"allowed is at least {highest + 1}, or null"
        )
    for part in others:
        unknown = np.setdiff1d(asked_of(part), asked_of(train))
        if unknown.size:
            names, first = train.class_names, int(unknown[0])
            raise UserError(
                f"{part.place}: the class {names[first] if names else first} is in no training example of {train.place}"
            )


def asked_of(part: Part) -> NDArray[Any]:
    """The targets that are asked for: all, but of the classes of each step those that are none."""
    return part.targets[part.targets != NOT_ASKED] if part.has_steps_asked else part.targets
