"""The text format of the UCR and UEA archives of time series: a header, then a line for each series.

Lines of the header are `@name value`; `#` and `%` begin remarks. A line of data has the dimensions of a series, `:`
between two of them and before the label, and commas between the numbers of a dimension, `?` for one that is missing
(https://www.aeon-toolkit.org, "loading data from .ts files").
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from recurrent_cells.data.arrays import as_numbers, padded
from recurrent_cells.data.sources import Part
from recurrent_cells.errors import UserError
from recurrent_cells.memory import check_memory

# Of a byte of text: the shortest numbers have two, and become an array, padded, beside the text.
BYTES_OF_A_CHARACTER = 7


@dataclass
class Header:
    """What a file says of its series.

    Args:
        classes: the names of all classes; empty where the labels are numbers.
    """

    classes: list[str] = field(default_factory=list)
    is_labelled: bool = False
    has_times: bool = False


def read_ts(path: Path) -> tuple[Part, list[str]]:
    """The series of a file, with names or numbers as targets, and the names of all classes in the header's order.

    Raises:
        UserError: if the file cannot be read, or a line of it does not follow the format.
    """
    try:
        check_memory(BYTES_OF_A_CHARACTER * path.stat().st_size, str(path), "give a smaller file")
        with path.open(encoding="utf-8-sig", errors="replace") as file:
            lines = enumerate((line.strip() for line in file), start=1)
            header = _header(path, lines)
            series, labels = _series(path, lines)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    if not series:
        raise UserError(f"{path}: there is no series after @data")
    values, lengths = padded(series, str(path))
    return Part(values, _targets(path, labels, header), str(path), lengths), header.classes


def _header(path: Path, lines: Iterable[tuple[int, str]]) -> Header:
    header = Header()
    for number, line in lines:
        if not line or line[0] in "#%":
            continue
        name, *values = line.split()
        if name[0] != "@":
            raise UserError(f"{path}, line {number}: {line[:20]!r} is neither a remark nor @name, and @data is not yet")
        is_true = bool(values) and values[0].lower() == "true"
        if name.lower() == "@data":
            if header.has_times or not header.is_labelled:
                what = "@timeStamps true" if header.has_times else "neither @classLabel true nor @targetLabel true"
                raise UserError(f"{path}: {what}; read are series without times, with a label each")
            return header
        if name.lower() == "@timestamps":
            header.has_times = is_true
        elif name.lower() in ("@classlabel", "@targetlabel") and is_true:
            header.is_labelled = True
            header.classes = values[1:] if name.lower() == "@classlabel" else []
            if twice := [it for it in header.classes if header.classes.count(it) > 1]:
                raise UserError(f"{path}, line {number}: the class {twice[0]} is named twice")
    raise UserError(f"{path}: there is no @data; give a .ts file of the UCR and UEA archives")


def _series(path: Path, lines: Iterable[tuple[int, str]]) -> tuple[list[NDArray[np.float32]], list[str]]:
    """Each series (T_n, F) and its label."""
    series: list[NDArray[np.float32]] = []
    labels = []
    for number, line in lines:
        if not line or line[0] in "#%":
            continue
        *dimensions, label = line.split(":")
        try:
            one = np.stack([_numbers(text) for text in dimensions], axis=1)
        except ValueError as error:
            reason = "dimensions of unequal length" if "same shape" in str(error) else str(error)
            raise UserError(f"{path}, line {number}: {reason}"[:200]) from None
        if series and one.shape[1] != series[0].shape[1]:
            raise UserError(
                f"{path}, line {number}: {one.shape[1]} dimensions, {series[0].shape[1]} in the first series"
            )
        series.append(as_numbers(one, str(path)))
        labels.append(label.strip())
    return series, labels


def _numbers(text: str) -> NDArray[np.float64]:
    """The numbers of a dimension (T,); raises ValueError where there are none."""
    return np.array(text.replace("?", "nan").split(","), dtype=np.float64)


def _targets(path: Path, labels: list[str], header: Header) -> NDArray[np.str_] | NDArray[np.float64]:
    if header.classes:
        return np.array(labels)
    try:
        return np.array(labels, dtype=np.float64)
    except ValueError as error:
        raise UserError(f"{path}: a label is no number ({error}), and @classLabel true names no classes") from None
