"""Series in files: JSON, .npz or CSV."""

import csv
import io
import json
import re
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from recurrent_cells.data.arrays import arrays_of
from recurrent_cells.errors import UserError
from recurrent_cells.inference.series import Floats, as_floats, cut, from_lists, without_padding
from recurrent_cells.inference.trained import Trained

FORMS = "JSON, .npz or CSV"
SERIES_SUFFIXES = (".csv", ".json", ".npz")
A_NUMBER = re.compile(r"\s*[+-]?(\d|\.\d|inf(inity)?\s*$|nan\s*$)", re.IGNORECASE)


def read_series(content: bytes, trained: Trained, most_bytes: int | None = None) -> tuple[list[Floats], list[str]]:
    """The series (T, F) in a file of any of the forms, and what each is called: by its place, or by the CSV's column.

    Args:
        trained: the network that is to take them; the columns of a CSV have the names of its data.
        most_bytes: of the arrays of an .npz file; None: as many as there is memory for.

    Raises:
        UserError: if there are none, or the file is of another form or damaged.
    """
    if content[:2] == b"PK":
        return _with_places(_from_npz(content, trained.size[1], most_bytes))
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UserError(f"neither {FORMS}") from None
    if text.lstrip()[:1] in ("[", "{"):
        return _with_places(_from_json(text, trained.size[1]))
    return _from_csv(text, trained)


def _with_places(series: list[Floats]) -> tuple[list[Floats], list[str]]:
    return series, [str(place) for place in range(len(series))]


def _from_npz(content: bytes, num_features: int, most_bytes: int | None) -> list[Floats]:
    """Series of x (N, T, F), (T, F), or (N, T) of one feature, and lengths (N,) where there are any."""
    found = arrays_of(io.BytesIO(content), "the file", most_bytes)
    if "x" not in found:
        raise UserError(f"no array x among {', '.join(found) or 'none'}; allowed are x and lengths")
    values = found["x"]
    if values.ndim == 2:
        values = values[..., None] if num_features == 1 and values.shape[1] != 1 else values[None]
    return cut(values, found.get("lengths"))


def _from_json(text: str, num_features: int) -> list[Floats]:
    """Series of nested lists, or of an object with values and, where they are padded, lengths."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        raise UserError("not JSON") from None
    lengths = None
    if isinstance(content, dict):
        if "values" not in content or not content.keys() <= {"values", "lengths"}:
            raise UserError(f"an object with {', '.join(content) or 'nothing'}; allowed are values and lengths")
        content, lengths = content["values"], content.get("lengths")
    series = from_lists(content, num_features)
    if lengths is None:
        return without_padding(series)
    if len({it.shape for it in series}) > 1:
        raise UserError("values of different lengths: these are the lengths, give no others")
    return cut(np.stack(series), lengths if isinstance(lengths, list) else [lengths])


def _from_csv(text: str, trained: Trained) -> tuple[list[Floats], list[str]]:
    """One series, a row for each step, or in the long format several, told by a column.

    Of columns with names those of the features are read, in their order in training, else all.
    """
    first = text.split("\n", 1)[0]
    delimiter = max(",;\t", key=first.count)
    try:
        rows = [row for row in csv.reader(io.StringIO(text), delimiter=delimiter) if any(cell.strip() for cell in row)]
    except csv.Error as error:
        raise UserError(f"neither {FORMS} ({error})") from None
    if not rows:
        raise UserError("the file is empty")
    has_numbers = all(A_NUMBER.match(cell) or not cell.strip() for cell in rows[0])
    has_names = bool(trained.feature_names) and set(trained.feature_names) <= set(_stripped(rows[0]))
    header = _stripped(rows.pop(0)) if has_names or not has_numbers else None
    if not rows:
        raise UserError("there is a line of names and no step")
    width = len(header or rows[0])
    for number, row in enumerate(rows, start=1 + (header is not None)):
        if len(row) != width:
            raise UserError(f"line {number}: {len(row)} columns, but {width} in the first")
    columns, of_series, of_time = _columns(header, width, trained)
    numbers = [[_number(row[column], number) for column in columns] for number, row in enumerate(rows)]
    values = as_floats(np.array(numbers))
    if of_series is None:
        return [values], [""]
    ids = [row[of_series].strip() for row in rows]
    places: dict[str, list[int]] = {name: [] for name in ids}
    for place, name in enumerate(ids):
        places[name].append(place)
    if of_time is not None:
        for name, steps in places.items():
            _check_times([rows[step][of_time].strip() for step in steps], name)
    return [values[steps] for steps in places.values()], list(places)


def _stripped(cells: Sequence[str]) -> list[str]:
    return [cell.strip() for cell in cells]


def _columns(header: list[str] | None, width: int, trained: Trained) -> tuple[list[int], int | None, int | None]:
    """The columns of features, and those of series and time where there are any."""
    if header is None:
        return list(range(width)), None, None
    place = {name: column for column, name in enumerate(header)}
    features, data = trained.feature_names, trained.config.data
    if missing := [name for name in features if name not in place]:
        raise UserError(f"no column {', '.join(missing)}, a feature by which the network was trained")
    others = (data.series, data.time, data.target)
    columns = [place[name] for name in features] or [place[name] for name in header if name not in others]
    return columns, place.get(str(data.series)), place.get(str(data.time))


def _number(cell: str, row: int) -> float:
    try:
        return float(cell) if cell.strip() else float("nan")
    except ValueError:
        raise UserError(f"row {row}: {cell.strip()[:40]!r} is no number") from None


def _check_times(times: Sequence[str], name: str) -> None:
    """Raises UserError unless times, numbers or texts that sort, grow."""
    order: NDArray[np.str_] | list[float]
    try:
        order = [float(time) for time in times]
    except ValueError:
        order = np.array(times)
    for before, after in pairwise(order):
        if not before < after:
            raise UserError(f"series {name}: time {after} comes after {before}; steps are given in their order")
