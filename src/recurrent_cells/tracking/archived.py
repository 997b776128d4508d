"""Trials as a file has them: read within limits and checked, for anyone may have written the file."""

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recurrent_cells.errors import UserError, first_line
from recurrent_cells.memory import check_memory
from recurrent_cells.tracking.artifacts import after_step_of, confusion_of, numbers_of, outcomes_of
from recurrent_cells.tracking.names import Artifact, Curve, Tag

if TYPE_CHECKING:
    from pyarrow.parquet import ParquetFile

COLUMNS = ("name", "fingerprint", "params", "tags", "curves", "files")
# What a report reads of a trial, and how; weights and pictures are not kept.
FILES: Mapping[str, Callable[[bytes], object]] = {
    Artifact.CONFIG: bytes.decode,
    Artifact.PACKAGES: bytes.decode,
    Artifact.OUTCOMES: outcomes_of,
    Artifact.CONFUSION: confusion_of,
    Artifact.AFTER_STEP: after_step_of,
    Artifact.NUMBERS: numbers_of,
}
# What a report reads of a sweep.
SWEEP_FILES = (Artifact.PLAN, Artifact.QUESTION)
# Tags that tell of a store, of a process, or of files that are not taken along.
LEFT_BEHIND = ("mlflow.", "process.", Tag.MANIFEST, Tag.CHECKPOINT_DIGEST, Tag.SWEEP, Tag.OPENED, Tag.ARCHIVE)
MOST_TRIALS = 100_000
# What a file may unpack to: texts of curves take a fifth of their size.
MOST_UNPACKED, MOST_TIMES = 1 << 28, 100
# What MLflow takes.
A_NAME, MOST_CHARACTERS = re.compile(r"[\w./: -]{1,250}"), 6000
A_FINGERPRINT = re.compile("[0-9a-f]{16}")

Points = tuple[list[float], list[float]]


@dataclass(frozen=True)
class Archived:
    """A finished trial.

    Args:
        curves: the steps and the values of each metric.
        files: contents by name.
    """

    name: str
    fingerprint: str
    params: Mapping[str, str]
    tags: Mapping[str, str]
    curves: Mapping[str, Points]
    files: Mapping[str, bytes]


def read_archive(path: Path) -> list[Archived]:
    """The trials of a file; none of a file that is not there yet.

    Raises:
        UserError: if the file is no archive, is damaged or unpacks to too much.
    """
    import pyarrow
    from pyarrow import parquet

    if not path.exists():
        return []
    place = f"sweep.archive={path}"
    try:
        with parquet.ParquetFile(path) as file:
            if tuple(file.schema_arrow.names) != COLUMNS:
                names = ", ".join(file.schema_arrow.names)[:200]
                raise UserError(f"{place}: no archive of trials; its columns are {names}")
            return [_archived(row, f"{place}: trial {number}") for number, row in enumerate(_rows(file, path), 1)]
    except (OSError, ValueError, MemoryError, pyarrow.ArrowException) as error:
        raise UserError(f"{place}: not an archive of trials, or damaged ({first_line(error, 120)})") from None


def read_sweep(path: Path) -> dict[str, str]:
    """The texts that a file has of a sweep, by SWEEP_FILES; none of a file that is not there yet.

    Raises:
        UserError: if the file is no archive, or is damaged.
    """
    import pyarrow
    from pyarrow import parquet

    if not path.exists():
        return {}
    try:
        metadata: Mapping[bytes, bytes] = parquet.read_schema(path).metadata or {}
        found = {name: metadata[name.encode()].decode() for name in SWEEP_FILES if name.encode() in metadata}
        for name, content in found.items():
            _expect(isinstance(json.loads(content), list if name == Artifact.PLAN else dict), name)
    except (OSError, ValueError, pyarrow.ArrowException) as error:
        reason = first_line(error, 120)
        raise UserError(f"sweep.archive={path}: not an archive of trials, or damaged ({reason})") from None
    return found


def _rows(file: "ParquetFile", path: Path) -> Iterator[Mapping[str, Any]]:
    """The rows one by one, as long as they unpack to no more than they may."""
    groups = [file.metadata.row_group(place) for place in range(file.metadata.num_row_groups)]
    most = max(MOST_UNPACKED, MOST_TIMES * path.stat().st_size)
    unpacked = sum(group.total_byte_size for group in groups)
    check_memory(unpacked, f"sweep.archive={path}", "give a smaller file")
    if file.metadata.num_rows > MOST_TRIALS or unpacked > most:
        raise ValueError(f"{file.metadata.num_rows:,} trials of {unpacked:,} bytes")
    unpacked = 0
    for batch in file.iter_batches(batch_size=1):
        unpacked += batch.nbytes
        if unpacked > most:
            raise ValueError(f"it unpacks to more than {most:,} bytes")
        yield from batch.to_pylist()


def _archived(row: Mapping[str, Any], place: str) -> Archived:
    """Raises UserError if a row is no trial that a store could take, and a report read."""
    try:
        params, tags = _texts(row["params"], "params"), _texts(row["tags"], "tags")
        kept = {key: value for key, value in tags.items() if not key.startswith(LEFT_BEHIND)}
        found = Archived(row["name"], row["fingerprint"], params, kept, _curves(row["curves"]), dict(row["files"]))
        _expect(isinstance(row["name"], str) and len(found.name) <= 250, "name")
        _expect(A_FINGERPRINT.fullmatch(found.fingerprint) is not None, "fingerprint")
        _expect(all(params.get(key, "").isdecimal() for key in ("seed", "n_params")), "params")
        _expect(Curve.test(kept.get(Tag.METRIC, "acc")) in found.curves, "curves")
        for name, content in found.files.items():
            _expect(name in FILES, "files")
            FILES[name](content)
    except UserError:
        raise
    except Exception as error:  # a parser may raise anything over what it is given
        raise UserError(
            f"{place} is none that a sweep has kept ({first_line(error, 120)}); give another file"
        ) from None
    return found


def _expect(is_so: bool, column: str) -> None:
    if not is_so:
        raise ValueError(f"the column {column} holds something else")


def _texts(text: str, column: str) -> dict[str, str]:
    found = json.loads(text)
    _expect(isinstance(found, dict) and all(isinstance(it, str) for it in found.values()), column)
    _expect(all(A_NAME.fullmatch(key) and len(it) <= MOST_CHARACTERS for key, it in found.items()), column)
    return dict(found)


def _curves(text: str) -> dict[str, Points]:
    found = json.loads(text)
    _expect(isinstance(found, dict) and all(map(A_NAME.fullmatch, found)), "curves")
    for steps, values in found.values():
        _expect(len(steps) == len(values) > 0, "curves")
        _expect(all(isinstance(it, int | float) for it in (*steps, *values)), "curves")
        _expect(all(math.isfinite(it) and 0 <= it < 2**53 for it in steps), "curves")
    return {key: (list(map(float, steps)), list(map(float, values))) for key, (steps, values) in found.items()}
