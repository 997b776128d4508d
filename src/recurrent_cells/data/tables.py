"""Series from tables in long form: a row for each step of each series."""

import gzip
import zlib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from recurrent_cells.data.arrays import as_numbers, padded
from recurrent_cells.data.sources import Part
from recurrent_cells.errors import UserError, first_line
from recurrent_cells.memory import check_memory

if TYPE_CHECKING:
    from pandas import DataFrame

# Of a byte of text, and of an entry of a Parquet file, whose bytes say little: the table, and arrays made of it.
BYTES_OF_A_CHARACTER, BYTES_OF_AN_ENTRY = 13, 32
CHUNK = 2**20
MOST_SHOWN, MOST_LETTERS = 12, 60
# How pandas calls a column without a header.
UNNAMED = "Unnamed: "


def read_table(path: Path) -> "DataFrame":
    """The table of a .csv (or .csv.gz) or .parquet file.

    Raises:
        UserError: if it cannot be read, has no rows, or needs more memory than there is.
    """
    import pandas  # here: half a second that only tables need

    try:
        _check_memory(path)
        if path.suffix == ".parquet":
            table = pandas.read_parquet(path)
        else:
            packed = "gzip" if path.suffix == ".gz" else None
            # in one piece: types guessed chunk by chunk would make of one id the number 7 and the text "7"
            table = pandas.read_csv(path, compression=packed, low_memory=False)
    except (OSError, ValueError, EOFError, NotImplementedError, zlib.error) as error:
        raise UserError(f"{path}: not a table of .csv or .parquet, or damaged ({first_line(error, 120)})") from None
    if table.empty:
        raise UserError(f"{path}: the table has no rows")
    return table


def _check_memory(path: Path) -> None:
    """Raises UserError if a table needs more memory than there is, however small it is packed."""
    advice = "give a smaller file"
    if path.suffix == ".parquet":
        import pyarrow.parquet

        found = pyarrow.parquet.read_metadata(path)
        unpacked = sum(found.row_group(number).total_byte_size for number in range(found.num_row_groups))
        check_memory(BYTES_OF_AN_ENTRY * found.num_rows * found.num_columns + unpacked, str(path), advice)
    elif path.suffix == ".gz":
        size = 0
        with gzip.open(path) as file:
            while chunk := file.read(CHUNK):
                size += len(chunk)
                check_memory(BYTES_OF_A_CHARACTER * size, str(path), advice)
    else:
        check_memory(BYTES_OF_A_CHARACTER * path.stat().st_size, str(path), advice)


def feature_columns(table: "DataFrame", path: Path, features: Sequence[str], others: Sequence[str]) -> list[str]:
    """The columns of numbers that are asked for, or all but `others` and those without a header, as a saved index has.

    Raises:
        UserError: if a column of these or of `others` is not there, a feature's holds no numbers, or it is not said
            which are features and a column of text holds numbers for the most part.
    """
    for column in (*others, *features):
        if column not in table.columns:
            shown = ", ".join(map(str, table.columns[:MOST_SHOWN])) + (", …" if len(table.columns) > MOST_SHOWN else "")
            raise UserError(f"{path}: no column {column}; there are {shown}")
    numbers = table.select_dtypes(include=["number", "bool"]).columns
    rest = [column for column in table.columns if column not in others and not str(column).startswith(UNNAMED)]
    if not features:
        _check_numbers_are_read(table[[column for column in rest if column not in numbers]], path)
    found = list(features) or [column for column in rest if column in numbers]
    if not found:
        raise UserError(f"{path}: no column of numbers beside {', '.join(others)}")
    if no_numbers := [column for column in found if column not in numbers]:
        raise UserError(f"{path}: the column {no_numbers[0]} holds no numbers, as a feature must")
    return found


def _check_numbers_are_read(texts: "DataFrame", path: Path) -> None:
    """Raise UserError if a column of text holds numbers for the most part, also with commas in them."""
    import pandas

    for column in texts.columns:
        cells = texts[column].dropna().astype(str)
        is_number = pandas.to_numeric(cells.str.replace(",", ""), errors="coerce").notna()
        if 2 * is_number.sum() <= len(cells):
            continue
        unread = cells[pandas.to_numeric(cells, errors="coerce").isna()]
        example = f"such as {_shown(unread.iloc[0])}" if len(unread) else "of another type"
        raise UserError(
            f"{path}: the column {column} holds numbers, but also what is none, {example}; write numbers as 1234.5 and "
            "leave missing ones empty, or name the features without that column: data.features=[COLUMN,…]"
        )


def read_series(path: Path, names: str, time: str, features: Sequence[str], target: str) -> Part:
    """The series of a table in the order in which they begin.

    Args:
        names, time, target: the columns of the series' names, of times, and of what is asked of a series.
        features: the columns of its numbers; empty: all others of numbers.

    Raises:
        UserError: as `read_table`, and if columns are missing, a target names the series or is a feature too, a feature
            is named twice, times of a series do not rise from row to row, or its target changes.
    """
    _check_named_once(path, "data.series, data.time and data.target", (names, time, target))
    _check_named_once(path, "data.target and data.features", (target, *features))
    table = read_table(path)
    columns = feature_columns(table, path, features, (names, time, target))
    for column in (names, time, target):
        if (empty := table[column].isna()).any():
            raise UserError(f"{path}: row {int(empty.argmax()) + 1} has no {column}")
        if any(isinstance(value, np.ndarray | list | dict) for value in table[column].iloc[:1]):
            raise UserError(f"{path}: the column {column} holds lists; each row has one value")
    codes = table[names].factorize()[0]
    order = np.argsort(codes, kind="stable")
    table, codes = table.iloc[order], codes[order]
    is_new = codes[1:] != codes[:-1]
    _check_times(table, path, names, time, is_new)
    changes = (table[target].iloc[1:].to_numpy() != table[target].iloc[:-1].to_numpy()) & ~is_new
    if changes.any():
        series = table[names].iloc[int(changes.argmax())]
        raise UserError(f"{path}: series {_shown(series)} has several values of {target}; each series has one")
    numbers = as_numbers(table[columns].to_numpy(np.float64, na_value=np.nan), str(path))
    firsts = np.flatnonzero(np.concatenate([[True], is_new]))
    values, lengths = padded(np.split(numbers, firsts[1:]), str(path))
    targets = table[target].iloc[firsts]
    is_number = targets.dtype.kind == "f"
    try:
        asked = targets.to_numpy() if is_number else targets.astype(str).to_numpy(str)
    except UnicodeDecodeError:
        raise UserError(f"{path}: the column {target} holds bytes that are not UTF-8") from None
    return Part(values, asked, str(path), lengths, feature_names=tuple(map(str, columns)))


def _check_named_once(path: Path, keys: str, columns: Sequence[str]) -> None:
    """Raises UserError if some keys name a column more than once."""
    if twice := [column for column, count in Counter(columns).items() if count > 1]:
        raise UserError(f"{path}: {keys} name the column {twice[0]} more than once")


def _check_times(table: "DataFrame", path: Path, names: str, time: str, is_new: NDArray[np.bool_]) -> None:
    """Raises UserError unless times rise within each series, whose rows stand side by side."""
    times = table[time]
    try:
        rises = (times.iloc[1:].to_numpy() > times.iloc[:-1].to_numpy()) | is_new
    except TypeError:
        raise UserError(f"{path}: the column {time} mixes numbers and text; give times of one kind") from None
    if not rises.all():
        first = int(rises.argmin())
        before, after, series = times.iloc[first], times.iloc[first + 1], table[names].iloc[first]
        fault = "twice" if before == after else f"after {_shown(before)}"
        raise UserError(
            f"{path}: series {_shown(series)} has the {time} {_shown(after)} {fault}; sort rows by {time}, each once"
        )


def _shown(value: object) -> str:
    text = str(value)
    return text if len(text) <= MOST_LETTERS else f"{text[:MOST_LETTERS]}…"
