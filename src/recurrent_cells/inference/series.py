"""Series as users give them, nested lists or arrays of numbers, made into what a network takes."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recurrent_cells.data.arrays import filled
from recurrent_cells.errors import UserError
from recurrent_cells.inference.trained import Trained

Floats = NDArray[np.float32]


def from_lists(content: Any, num_features: int) -> list[Floats]:
    """Series (T, F) of nested lists of numbers, in which null is a number that is missing.

    Allowed is one series, a list of its steps, or a list of series; where F is 1, a step may be a number.

    Raises:
        UserError: for anything else.
    """
    depth = _depth(content)
    if depth == 3:
        return [_series(series, f"series {place}") for place, series in enumerate(content)]
    if depth == 2 and num_features == 1 and any(len(it) != 1 for it in content if isinstance(it, list)):
        return [_series([[it] for it in _list(series)], f"series {place}") for place, series in enumerate(content)]
    if depth == 2:
        return [_series(content, "the series")]
    if depth == 1:
        return [_series([[step] for step in content], "the series")]
    raise UserError("no series; allowed is a list of steps, each a list of numbers, or a list of such lists")


def cut(values: NDArray[Any], lengths: Sequence[Any] | NDArray[Any] | None) -> list[Floats]:
    """Series (T_n, F) of an array (N, T, F), each cut at its length, without lengths at its last step with a number.

    Raises:
        UserError: for lengths that are none.
    """
    if values.dtype.kind not in "iuf":
        raise UserError(f"values of type {values.dtype}; allowed are numbers")
    if values.ndim != 3:
        raise UserError(f"values of shape {values.shape}; allowed are (N, T, F)")
    values = as_floats(values)
    if lengths is None:
        return without_padding(values)
    try:
        known = np.asarray(lengths)
    except ValueError:  # lists of different lengths: no integers either
        known = np.asarray(None)
    if known.shape != (len(values),) or known.dtype.kind not in "iu":
        raise UserError(f"lengths: {len(values)} integers are needed, one a series")
    for place, length in enumerate(known.tolist()):
        if not 1 <= length <= values.shape[1]:
            raise UserError(f"lengths: {length} for series {place}; allowed is 1 to {values.shape[1]}, the steps given")
    return [series[:length] for series, length in zip(values, known.tolist(), strict=True)]


def without_padding(series: Iterable[Floats]) -> list[Floats]:
    """Each series up to its last step that is not all NaN, for series whose lengths are not given otherwise."""
    steps = [(it, np.flatnonzero(~np.isnan(it).all(axis=1))) for it in series]
    return [it[: numbers[-1] + 1] if len(numbers) else it[:0] for it, numbers in steps]


def padded(series: Sequence[Floats], trained: Trained) -> Floats:
    """Series (T_n, F) side by side, (N, T, F), with NaN after the last step of each that is shorter than others.

    Numbers that are missing before the last step are filled as they were in training.

    Raises:
        UserError: if there is none, or one that the network does not take.
    """
    if not series:
        raise UserError("there is no series")
    missing = trained.config.data.missing
    if missing != "refuse":
        series = [filled(it[None], np.ones((1, len(it)), dtype=bool), missing)[0] for it in series]
    for place, it in enumerate(series):
        _check(it, "the series" if len(series) == 1 else f"series {place}", trained)
    longest = max(map(len, series))
    if not trained.network.has_lengths and any(len(it) < longest for it in series):
        raise UserError(
            f"series of different lengths, but run {trained.record.name} was trained on series of one length; "
            "ask about each alone"
        )
    values = np.full((len(series), longest, series[0].shape[1]), np.nan, np.float32)
    for row, it in zip(values, series, strict=True):
        row[: len(it)] = it
    return values


def _depth(content: Any) -> int:
    depth = 0
    while isinstance(content, list) and content:
        depth, content = depth + 1, content[0]
    return depth


def _list(content: Any) -> list[Any]:
    if not isinstance(content, list):
        raise UserError("lists and numbers are mixed; allowed is a list of steps, each a list of numbers")
    return content


def _series(steps: Any, place: str) -> Floats:
    """A list of steps as an array (T, F)."""
    sizes = {len(_list(step)) for step in _list(steps)}
    if len(sizes) != 1:
        some = f"of {', '.join(map(str, sorted(sizes)))} numbers" if sizes else "none"
        raise UserError(f"{place}: its steps are {some}; each needs as many as there are features")
    for number in (number for step in steps for number in step):
        if number is not None and (isinstance(number, bool) or not isinstance(number, int | float)):
            raise UserError(f"{place}: {str(number)[:40]!r} is no number")
    try:
        return as_floats(np.array(steps, dtype=np.float64))
    except OverflowError:
        raise UserError(f"{place}: a number is too large") from None


def as_floats(values: NDArray[Any]) -> Floats:
    with np.errstate(over="ignore"):  # what is too large becomes infinite, and is refused as that
        return values.astype(np.float32)


def _check(series: Floats, place: str, trained: Trained) -> None:
    if len(series) == 0:
        raise UserError(f"{place}: no step has a number")
    trained.check(series[None], place)
    if not (finite := np.isfinite(series)).all():
        step, feature = np.unravel_index(finite.argmin(), series.shape)
        raise UserError(
            f"{place}: step {step}, feature {feature} is {series[step, feature]}; allowed are finite numbers"
        )
