"""Archives of trials (`sweep.archive`) that are damaged, or that a stranger made."""

import io
import json
import pickle
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
from pyarrow import parquet

from benchmarks.malformed.files import TINY
from benchmarks.malformed.sandbox import Case

Row = Mapping[str, Any]
TEXT, CONTENTS = pyarrow.string(), pyarrow.map_(pyarrow.string(), pyarrow.binary())
COLUMNS = ("name", "fingerprint", "params", "tags", "curves", "files")
ROWS = 50_000_000  # of 200 bytes each: ten gigabytes


def cases(folder: Path) -> Iterator[Case]:
    """A sweep on good data that is given each archive."""
    archives = folder / "archives"
    archives.mkdir()
    made = [(name, written([GOOD, {**GOOD, **change}])) for name, change in _changes().items()]
    for number, (name, content) in enumerate([*_files(), *made]):
        path = archives / f"{number}.parquet"
        path.write_bytes(content)
        line = ("-m", *TINY, f"data.root={folder / 'good'}", "seed=0,1", f"sweep.archive={path}")
        yield Case("archives", name, "train", line)
        if number < 8:
            yield Case("archives", f"{name}, for a search", "train", (*line, *SEARCH))
            yield Case("archives", f"{name}, for a dry run", "train", (*line, "sweep.dry_run=true"))
    _claim_rows(archives / "rows.parquet")
    line = (*line[:-1], f"sweep.archive={archives / 'rows.parquet'}")
    yield Case("archives", f"{ROWS:,} rows of 200 bytes each", "train", line)


SEARCH = ("seed=0", "hydra/sweeper=optuna", "model.hidden_size=3,4")


def arrays(**named: Any) -> bytes:
    file = io.BytesIO()
    np.savez(file, **named)
    return file.getvalue()


def squeezed(**named: Any) -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, **named)
    return file.getvalue()


GOOD: dict[str, Any] = {
    "name": "gru-h4x1-s0",
    "fingerprint": "0123456789abcdef",
    "params": json.dumps({"seed": "0", "n_params": "3"}),
    "tags": json.dumps({"cell": "gru"}),
    "curves": json.dumps({"val/best_acc": [[1], [0.5]], "test/acc": [[1.0], [0.5]]}),
    "files": [("test_outcomes.npz", arrays(values=np.ones(3)))],
}


def written(rows: list[dict[str, Any]], **options: Any) -> bytes:
    schema = pyarrow.schema([(name, CONTENTS if name == "files" else TEXT) for name in rows[0]])
    return _as_file(pyarrow.Table.from_pylist(rows, schema), **options)


def _as_file(table: pyarrow.Table, **options: Any) -> bytes:
    buffer = io.BytesIO()
    parquet.write_table(table, buffer, **{"compression": "zstd", **options})
    return buffer.getvalue()


def _files() -> Iterator[tuple[str, bytes]]:
    """Files that are no archive, or no whole one."""
    good = written([GOOD])
    (footer,) = struct.unpack("<I", good[-8:-4])
    yield from (
        ("empty", b""),
        ("a pickle", pickle.dumps({"name": 1})),
        ("text", b"name,fingerprint\na,b\n" * 50),
        ("another program's columns", _as_file(pyarrow.table({"a": [1, 2], "b": ["c", "d"]}))),
        ("the magic number and no more", b"PAR1PAR1"),
        ("cut short", good[:-100]),
        ("without its beginning", good[100:]),
        ("noise in its pages", good[:50] + bytes(range(256)) + good[306:]),
        ("noise in its footer", good[: -footer - 8] + bytes(range(256)) * (footer // 256 + 1) + good[-8:]),
        ("a footer of four gigabytes", good[:-8] + b"\xff\xff\xff\xffPAR1"),
        ("a footer of no bytes", good[:-8] + bytes(4) + b"PAR1"),
        ("encrypted", good[:-4] + b"PARE"),
        ("a zip file", squeezed(name=np.zeros(3))),
        ("no columns", _as_file(pyarrow.table({}))),
        ("a column too few", _as_file(pyarrow.table({name: ["a"] for name in COLUMNS[:-1]}))),
        ("a column too many", written([GOOD | {"more": "a"}])),
        ("columns in another order", written([dict(reversed(GOOD.items()))])),
        ("numbers for texts", _as_file(pyarrow.table({name: [1, 2] for name in COLUMNS}))),
        ("texts for files", _as_file(pyarrow.table({name: ["a", "b"] for name in COLUMNS}))),
        ("bytes for texts", _as_file(pyarrow.table({name: [b"\xff", b"\xfe"] for name in COLUMNS}))),
        ("nothing but nulls", written([dict.fromkeys(COLUMNS)])),
        ("100,001 rows", written([GOOD] * 100_001)),
        ("a name of 300 MB a row", written([GOOD | {"name": "x" * 300_000_000}], use_dictionary=False)),
        ("a name of 3 MB in a thousand rows", written([GOOD | {"name": "x" * 3_000_000}] * 1000)),
        ("a file of 300 MB of zeros", written([GOOD | {"files": [("config.yaml", bytes(300_000_000))]}])),
    )


def _claim_rows(path: Path) -> None:
    """A small file of many rows, each the same."""
    same = pyarrow.DictionaryArray.from_arrays(np.zeros(ROWS // 50, dtype=np.int8), pyarrow.array(["x" * 200]))
    empty = pyarrow.array([[]] * 1, CONTENTS).take(pyarrow.array(np.zeros(ROWS // 50, dtype=np.int64)))
    table = pyarrow.table({name: empty if name == "files" else same for name in COLUMNS})
    with parquet.ParquetWriter(path, table.schema, compression="zstd") as file:
        for _ in range(50):
            file.write_table(table)


def _changes() -> dict[str, Row]:
    """What a second row has in the place of what a good one has."""

    def texts(**more: object) -> str:
        return json.dumps({"seed": "0", "n_params": "3", **more})

    def curve(text: str) -> Row:
        return {"curves": f'{{"test/acc": {text}}}'}

    def outcomes(content: bytes) -> Row:
        return {"files": [("test_outcomes.npz", content)]}

    return {
        "no name": {"name": None},
        "a name of 1,000 characters": {"name": "x" * 1000},
        "no fingerprint": {"fingerprint": None},
        "an empty fingerprint": {"fingerprint": ""},
        "a path for a fingerprint": {"fingerprint": "../../../../etc"},
        "a filter for a fingerprint": {"fingerprint": "' or '1'='1"},
        "no params": {"params": None},
        "params that are a list": {"params": "[1]"},
        "params that are no JSON": {"params": "{seed: 0}"},
        "params without a seed": {"params": "{}"},
        "a seed that is no number": {"params": texts(seed="abc")},
        "a seed of numbers": {"params": texts(seed=0)},
        "a param too long for MLflow": {"params": texts(a="x" * 7000)},
        "a param's name too long for MLflow": {"params": texts(**{"a" * 300: "x"})},
        "a param's name that is a path": {"params": texts(**{"..\\x": "x"})},
        "tags that are a text": {"tags": '"abc"'},
        "tags of tags": {"tags": '{"cell": {"a": "b"}}'},
        "tags with line breaks in names": {"tags": '{"a\\nb": "c"}'},
        "deep tags": {"tags": "[" * 100_000},
        "curves that are a number": {"curves": "3"},
        "no test value": {"curves": "{}"},
        "a curve of texts": curve('[["a"], ["b"]]'),
        "a curve of one list": curve("[[1, 2]]"),
        "a curve of uneven lists": curve("[[1, 2], [0.5]]"),
        "an empty curve": curve("[[], []]"),
        "a curve of lists": curve("[[[1]], [[2]]]"),
        "steps that are no numbers": curve("[[NaN], [0.5]]"),
        "steps below 0": curve("[[-1], [0.5]]"),
        "steps beyond counting": curve("[[1e300], [0.5]]"),
        "a value too large": curve(f"[[1], [{'9' * 400}]]"),
        "a file outside the store": {"files": [("../../../../tmp/ran", b"x")]},
        "an absolute file": {"files": [("/tmp/ran", b"x")]},
        "a checkpoint": {"files": [("best.ckpt", pickle.dumps([1]))]},
        "a file of code": {"files": [("cell.py", b"import os")]},
        "a config that is no text": {"files": [("config.yaml", b"\xff\xfe")]},
        "outcomes that are a pickle": outcomes(pickle.dumps([1])),
        "outcomes that are objects": outcomes(arrays(values=np.array([{"a": 1}], dtype=object))),
        "outcomes that are texts": outcomes(arrays(values=np.array(["abc"]))),
        "outcomes without values": outcomes(arrays(a=np.zeros(3))),
        "outcomes that unpack to 800 MB": outcomes(squeezed(values=np.zeros(100_000_000))),
        "10^15 outcomes in a byte": outcomes(arrays(bits=np.zeros(1, dtype=np.uint8), count=10**15)),
        "outcomes cut short": outcomes(arrays(values=np.ones(300))[:-50]),
        "a confusion matrix of texts": {"files": [("confusion_matrix.csv", b"a,b\nc,d\n")]},
        "an uneven confusion matrix": {"files": [("confusion_matrix.csv", b"1,2\n3\n")]},
        "a confusion matrix of bytes": {"files": [("confusion_matrix.csv", bytes(range(256)))]},
        "accuracies of texts": {"files": [("accuracy_after_step.csv", b"step,accuracy\n1,x\n")]},
        "numbers that are a pickle": {"files": [("test_numbers.npz", pickle.dumps([1]))]},
        "numbers without targets": {"files": [("test_numbers.npz", arrays(answers=np.zeros(3)))]},
    }
