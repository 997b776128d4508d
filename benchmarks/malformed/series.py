"""Files of series that must be refused: arrays, tables and archives to train on, and series to predict."""

import bz2
import gzip
import io
import lzma
import os
import pickle
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
from numpy.typing import NDArray
from pyarrow import parquet

from benchmarks.malformed.archives import arrays
from benchmarks.malformed.files import GIBIBYTE, TINY, bomb
from benchmarks.malformed.sandbox import Case, Sandbox

SHORT = (*(it for it in TINY if not it.startswith(("data=", "data.val_size="))), "model=lstm")
CLASSES = np.arange(40) % 2
VALUES = np.random.RandomState(0).rand(40, 5, 2) + CLASSES[:, None, None]
COLUMNS = ("data.series=machine", "data.time=second", "data.target=state")
LATE = pyarrow.array([2**62] * 60, pyarrow.timestamp("ms"))
HEADER = "@timeStamps false\n@classLabel true a b\n@data\n"


def training_line(folder: Path) -> tuple[str, ...]:
    """What trains the network of series that `predict_cases` asks."""
    path = folder / "good.npz"
    path.write_bytes(arrays(train_x=VALUES, train_y=CLASSES))
    return (*SHORT, "data=npz", f"data.root={path}")


def data_cases(folder: Path) -> Iterator[Case]:
    """A trial on each file."""
    place = folder / "series"
    place.mkdir()
    for number, (name, content) in enumerate([*_archives(), *_made()]):
        path = place / f"{number}.npz"
        path.write_bytes(content)
        yield Case("series files", f"npz: {name}", "train", (*SHORT, "data=npz", f"data.root={path}"))
    for number, (name, ending, content) in enumerate(_tables()):
        path = place / f"{number}{ending}"
        path.write_bytes(content)
        yield Case("series files", f"table: {name}", "train", (*SHORT, "data=table", *COLUMNS, f"data.root={path}"))
    for number, (name, content) in enumerate(_ts()):
        path = place / f"set{number}_TRAIN.ts"
        path.write_bytes(content)
        line = (*SHORT, "data=ts", f"data.root={place}", f"data.dataset=set{number}")
        yield Case("series files", f"ts: {name}", "train", line)
    yield from _odd_places(place)


def predict_cases(sandbox: Sandbox) -> Iterator[Case]:
    """With a network of series at hand, trained last; each is told of by its name."""
    place, artifacts = sandbox.bad / "asked", sandbox.store.parent.glob("artifacts/*")
    run = f"run={max(artifacts, key=lambda it: it.stat().st_mtime).name}"
    (place / "none").mkdir(parents=True)
    for number, (name, content) in enumerate(_asked()):
        path = place / f"{number}.json"
        path.write_bytes(content)
        yield Case("series to predict", name, "predict", (run, f"series={path}"), code=1)
    os.mkfifo(place / "pipe.csv")
    for name in ("pipe.csv", "none"):
        yield Case("series to predict", name, "predict", (run, f"series={place / name}"), code=1)
    line = (run, "series=-")
    yield Case("series to predict", "nothing on standard input", "predict", line, code=1)
    yield Case("series to predict", "300 MiB on standard input", "predict", line, code=1, stdin=bytes(300 << 20))


def _zipped(content: bytes, name: str = "train_x.npy", method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as file:
        file.writestr(name, content)
        file.writestr("train_y.npy", _npy(CLASSES))
    return buffer.getvalue()


def _npy(array: NDArray[Any]) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def _claiming(header: str, version: bytes = b"\x01\x00") -> bytes:
    """An .npy file of a header and no number."""
    size = len(header).to_bytes(2 if version[0] == 1 else 4, "little")
    return b"\x93NUMPY" + version + size + header.encode("latin1")


def _shape(shape: str, descr: str = "'<f8'") -> bytes:
    return _claiming(f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}}}\n")


def _archives() -> Iterator[tuple[str, bytes]]:
    """Files that are no .npz file, or no whole one."""
    good = arrays(train_x=VALUES, train_y=CLASSES)
    yield from (
        ("text", b"1,2,3\n" * 50),
        ("a pickle", pickle.dumps({"train_x": VALUES})),
        ("one array", _npy(VALUES)),
        ("the start of a zip file", b"PK\x03\x04"),
        ("cut short", good[:-200]),
        ("without its beginning", good[300:]),
        ("noise in its middle", good[:400] + bytes(range(256)) + good[656:]),
        ("a zip file of nothing", b"PK\x05\x06" + bytes(18)),
        ("a picture in a zip file", _zipped(b"\x89PNG\r\n\x1a\n")),
        ("an empty array file", _zipped(b"")),
        ("a header cut short", _zipped(_npy(VALUES)[:20])),
        ("numbers cut short", _zipped(_npy(VALUES)[:-20])),
        ("a header of Python", _zipped(_claiming("__import__('os').mkdir('ran')\n"))),
        ("a header that is deep", _zipped(_claiming("[" * 9000 + "]" * 9000 + "\n"))),
        ("a header of 100 MB", _zipped(_claiming(" " * 100_000_000, b"\x02\x00"))),
        ("a header of another version", _zipped(b"\x93NUMPY\x09\x09" + _npy(VALUES)[8:])),
        ("10^15 numbers", _zipped(_shape(f"({10**15},)"))),
        ("10^30 numbers", _zipped(_shape(f"({10**30},)"))),
        ("10^30 times no number", _zipped(_shape(f"(0, {10**30})"))),
        ("sizes that overflow", _zipped(_shape("(4294967296, 4294967296, 2)"))),
        ("a size below 0", _zipped(_shape("(-1, 5, 2)"))),
        ("a size of a text", _zipped(_shape("('a',)"))),
        ("a size of true", _zipped(_shape("(True, 5, 2)"))),
        ("100 dimensions", _zipped(_shape("(" + "1," * 100 + ")"))),
        ("an unknown type", _zipped(_shape("(40, 5, 2)", "'<q9'"))),
        ("numbers of 2 GB each", _zipped(_shape("(40, 5, 2)", "'|V2147483647'"))),
        ("a gzip file", gzip.compress(good)),
    )
    for name, method in (("bzip2", zipfile.ZIP_BZIP2), ("LZMA", zipfile.ZIP_LZMA), ("deflate", zipfile.ZIP_DEFLATED)):
        packed = bytearray(_zipped(_npy(VALUES), method=method))
        packed[60:90] = bytes(range(100, 130))
        yield f"damaged {name}", bytes(packed)
    locked = bytearray(good)
    locked[6] |= 1  # of the file's own header and of the directory's entry: encrypted
    locked[good.index(b"PK\x01\x02") + 8] |= 1
    yield "encrypted", bytes(locked)


def _made() -> Iterator[tuple[str, bytes]]:
    """Arrays that are no examples."""

    def changed(**named: Any) -> bytes:
        return arrays(**{"train_x": VALUES, "train_y": CLASSES, **named})

    yield from (
        ("no targets", arrays(train_x=VALUES)),
        ("other names", arrays(x=VALUES, y=CLASSES)),
        ("Python objects", changed(train_x=np.array([{"a": 1}], dtype=object))),
        ("objects that run code", changed(groups=np.array([np.zeros(2), "a"], dtype=object))),
        ("texts", changed(train_x=VALUES.astype(str))),
        ("dates", changed(train_x=VALUES.astype("M8[s]"))),
        ("dates for targets", changed(train_y=CLASSES.astype("M8[s]"))),
        ("complex numbers", changed(train_x=VALUES.astype(complex))),
        ("records", changed(train_x=np.zeros((40, 5, 2), dtype=[("a", "f4"), ("b", "i4")]))),
        ("records for targets", changed(train_y=np.zeros(40, dtype=[("a", "f4")]))),
        ("no dimension", changed(train_x=np.float64(3))),
        ("no dimension for targets", changed(train_y=np.int64(3))),
        ("four dimensions", changed(train_x=VALUES[..., None])),
        ("no example", changed(train_x=VALUES[:0], train_y=CLASSES[:0])),
        ("no step", changed(train_x=VALUES[:, :0])),
        ("no feature", changed(train_x=VALUES[..., :0])),
        ("one example", changed(train_x=VALUES[:1], train_y=CLASSES[:1])),
        ("a target too few", changed(train_y=CLASSES[1:])),
        ("one class", changed(train_y=CLASSES * 0)),
        ("a class below 0", changed(train_y=CLASSES - 1)),
        ("a class of 10^18", changed(train_y=CLASSES * 10**18)),
        ("a class of 2^64 - 1", changed(train_y=CLASSES.astype(np.uint64) * np.uint64(2**64 - 1))),
        ("a class for each of a thousand million", changed(train_y=CLASSES * 10**9)),
        ("missing numbers", changed(train_x=np.full((40, 5, 2), np.nan))),
        ("infinite numbers", changed(train_x=VALUES * np.inf)),
        ("numbers too large for 32 bits", changed(train_x=VALUES * 1e300)),
        ("infinite targets", changed(train_y=np.full(40, np.inf))),
        ("targets too large for 32 bits", changed(train_y=CLASSES * 1e300)),
        ("targets of three dimensions", changed(train_y=VALUES)),
        ("texts that are no UTF-8", changed(train_y=np.array([b"\xff", b"\xfe"] * 20))),
        ("lengths of 0", changed(train_lengths=CLASSES * 0)),
        ("lengths of 2^64 - 1", changed(train_lengths=np.full(40, 2**64 - 1, dtype=np.uint64))),
        ("lengths beyond the steps", changed(train_lengths=CLASSES + 5)),
        ("lengths of fractions", changed(train_lengths=np.ones(40))),
        ("lengths of two dimensions", changed(train_lengths=np.ones((40, 1), int))),
        ("groups too few", changed(groups=CLASSES[1:])),
        ("one group", changed(groups=CLASSES * 0)),
        ("test values without targets", changed(test_x=VALUES)),
        ("test values of another size", changed(test_x=VALUES[..., :1], test_y=CLASSES)),
        ("test lengths without test values", changed(test_lengths=np.full(40, 9), train_lengths=np.full(40, 9))),
        ("a test class of none", changed(test_x=VALUES, test_y=CLASSES + 1)),
        ("test targets of another kind", changed(test_x=VALUES, test_y=CLASSES + 0.5)),
        ("test targets of texts", changed(test_x=VALUES, test_y=CLASSES.astype(str))),
        ("classes of steps, too few", changed(train_y=np.zeros((40, 4), int))),
        ("classes of no step", changed(train_y=np.full((40, 5), -1))),
    )


def _csv(*lines: str) -> bytes:
    rows = [f"m{series},{step},{step * series},{series % 2}" for series in range(20) for step in range(3)]
    return "\n".join(["machine,second,heat,state", *rows, *lines, ""]).encode()


def _as_parquet(**columns: Any) -> bytes:
    rows = [(f"m{series}", step, step * 0.5, series % 2) for series in range(20) for step in range(3)]
    made = dict(zip(("machine", "second", "heat", "state"), map(list, zip(*rows, strict=True)), strict=True))
    buffer = io.BytesIO()
    parquet.write_table(pyarrow.table({**made, **columns}), buffer)
    return buffer.getvalue()


def _tables() -> Iterator[tuple[str, str, bytes]]:
    good, whole = _csv(), _as_parquet()
    long = pyarrow.DictionaryArray.from_arrays(np.zeros(60, dtype=np.int8), pyarrow.array(["x" * 300_000_000]))
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w") as file:
        file.writestr("a.csv", good)
        file.writestr("b.csv", good)
    yield from (
        ("bytes", ".csv", bytes(range(256)) * 10),
        ("zeros", ".csv", bytes(10_000)),
        ("line breaks", ".csv", b"\n" * 10_000),
        ("UTF-16", ".csv", good.decode().encode("utf-16")),
        ("a quote that is never closed", ".csv", good + b'"m9,3'),
        ("a row too wide", ".csv", _csv("m19,9,1,1,5")),
        ("a line of 50 MB", ".csv", _csv("m19," + "9" * 50_000_000)),
        ("100,000 columns", ".csv", ",".join(f"c{n}" for n in range(100_000)).encode() + b"\n" + b"1," * 99_999 + b"1"),
        ("other columns", ".csv", b"a,b\n1,2\n"),
        ("a column twice", ".csv", b"machine,second,heat,heat,state\nm0,0,a,b,1\n"),
        ("a column's name twice", ".csv", b"machine,second,state,state\nm0,0,1,1\n"),
        ("names alone", ".csv", b"machine,second,heat,state\n"),
        ("one series", ".csv", b"machine,second,heat,state\nm0,0,1,1\nm0,1,1,1\n"),
        ("texts for numbers", ".csv", _csv("m19,9,warm,1")),
        ("a number of 400 digits", ".csv", _csv(f"m19,9,{'9' * 400},1")),
        ("an infinite number", ".csv", _csv("m19,9,inf,1")),
        ("times that fall", ".csv", _csv("m19,0,1,1")),
        ("a time that is missing", ".csv", _csv("m19,,1,1")),
        ("two targets", ".csv", _csv("m19,9,1,0")),
        ("an infinite target", ".csv", _csv("m20,0,1,inf")),
        ("a name that is missing", ".csv", _csv(",0,1,1")),
        ("no gzip", ".csv.gz", good),
        ("gzip cut short", ".csv.gz", gzip.compress(good)[:-20]),
        ("gzip with a wrong sum", ".csv.gz", gzip.compress(good)[:-8] + bytes(8)),
        ("gzip of noise", ".csv.gz", b"\x1f\x8b\x08" + bytes(7) + bytes(range(256))),
        ("a gzip bomb", ".csv.gz", bomb(good, 2 * GIBIBYTE)),
        ("bzip2", ".csv.bz2", bz2.compress(good)),
        ("xz", ".csv.xz", lzma.compress(good)),
        ("a zip file of two tables", ".csv.zip", zipped.getvalue()),
        ("a pickle", ".pickle", pickle.dumps([1])),
        ("a table of Excel", ".xlsx", zipped.getvalue()),
        ("empty", ".parquet", b""),
        ("no Parquet", ".parquet", good),
        ("the magic number and no more", ".parquet", b"PAR1PAR1"),
        ("Parquet cut short", ".parquet", whole[:-50]),
        ("noise in its pages", ".parquet", whole[:30] + bytes(range(200)) + whole[230:]),
        ("noise in its footer", ".parquet", whole[:-300] + bytes(range(200)) + whole[-100:]),
        ("a footer of four gigabytes", ".parquet", whole[:-8] + b"\xff\xff\xff\xffPAR1"),
        ("encrypted", ".parquet", whole[:-4] + b"PARE"),
        ("a column of lists", ".parquet", _as_parquet(heat=[[1.0]] * 60)),
        ("a column of records", ".parquet", _as_parquet(state=[{"a": 1}] * 60)),
        ("names that are lists", ".parquet", _as_parquet(machine=[["a"]] * 60)),
        ("names that are bytes", ".parquet", _as_parquet(state=[b"\xff"] * 30 + [b"\xfe"] * 30)),
        ("nothing but nulls", ".parquet", _as_parquet(heat=pyarrow.nulls(60, pyarrow.float64()))),
        ("a column of nulls", ".parquet", _as_parquet(state=pyarrow.nulls(60))),
        ("decimal numbers", ".parquet", _as_parquet(heat=pyarrow.nulls(60, pyarrow.decimal128(38)))),
        (
            "dates beyond the calendar",
            ".parquet",
            _as_parquet(second=LATE),
        ),
        ("a text of 300 MB a row", ".parquet", _as_parquet(machine=long)),
    )


def _ts() -> Iterator[tuple[str, bytes]]:
    texts = {
        "empty": "",
        "no header": "1,2,3:a\n",
        "a header alone": HEADER,
        "no end of the header": "@classLabel true a b\n" * 10_000,
        "times": "@timeStamps true\n@classLabel true a b\n@data\n(0,1):a\n",
        "no labels": "@classLabel false\n@data\n1,2\n",
        "no label": f"{HEADER}1,2\n",
        "an empty label": f"{HEADER}1,2:\n3,4:a\n",
        "a class of none": f"{HEADER}1,2:c\n",
        "one class": HEADER + "1,2:a\n" * 20,
        "uneven dimensions": f"{HEADER}1,2:3:a\n",
        "another number of dimensions": f"{HEADER}1,2:3,4:a\n1,2:b\n",
        "texts": f"{HEADER}one,two:a\n",
        "no number": f"{HEADER}:a\n",
        "missing numbers alone": HEADER + "?,?:a\n?,?:b\n" * 10,
        "infinite numbers": HEADER + "1,inf:a\n2,1e999:b\n" * 10,
        "a number of 100,000 digits": HEADER + f"1,{'9' * 100_000}:a\n" * 10,
        "a series of 10 million dimensions": HEADER + ":" * 10_000_000 + "a\n",
        "labels that are no numbers": "@targetLabel true\n@data\n1,2:many\n",
        "infinite labels": "@targetLabel true\n@data\n" + "1,2:inf\n" * 20,
        "a lone @": "@\n@data\n",
        "classes named twice": "@classLabel true a a\n@data\n" + "1,2:a\n2,3:a\n" * 10,
        "a line of separators": HEADER + "\x1c\x1d\x1e\u2028:a\n",
    }
    yield from ((name, text.encode()) for name, text in texts.items())
    yield "bytes", bytes(range(256)) * 100
    yield "one long series among short ones", (HEADER + "1:a\n2:b\n" * 200_000 + "1," * 200_000 + "1:a\n").encode()


def _odd_places(folder: Path) -> Iterator[Case]:
    """Names of files, and what may stand where a file should."""
    os.mkfifo(folder / "pipe.npz")
    (folder / "circle.csv").symlink_to(folder / "circle.csv")
    (folder / "zero.npz").symlink_to("/dev/zero")
    (folder / "folder.csv").mkdir()
    os.mkfifo(folder / "pipe_TRAIN.ts")
    (folder / "zero_TRAIN.ts").symlink_to("/dev/zero")
    tables = ("data=table", *COLUMNS)
    for place in (
        *(f"{folder}/pipe.npz", f"{folder}/circle.csv", f"{folder}/zero.npz", f"{folder}/folder.csv"),
        *(".", "/", "/dev/zero", "/proc/self/mem", "/proc/self/environ", "x" * 300, "/" + "x/" * 3000, "'a\x00b'"),
        *("'~absent/a.npz'", "/etc/hostname/a.npz", "https://localhost/a.csv"),
    ):
        yield Case("series files", f"npz: {place[-40:]}", "train", (*SHORT, "data=npz", f"data.root={place}"))
        yield Case("series files", f"table: {place[-40:]}", "train", (*SHORT, *tables, f"data.root={place}"))
        yield Case(
            "series files", f"ts: {place[-40:]}", "train", (*SHORT, "data=ts", f"data.root={place}", "data.dataset=a")
        )
    for name in ("pipe", "zero", "../../etc/passwd", "x" * 300, "'a\x00b'", "''", "/", "*", "[a]", "~"):
        line = (*SHORT, "data=ts", f"data.root={folder}", f"data.dataset={name}")
        yield Case("series files", f"ts: a set {name[:30]}", "train", line)
    good = folder / "good.csv"
    good.write_bytes(_csv())
    for key in ("series", "time", "target", "features"):
        for value in ("absent", "[absent]", "null", "''", "[heat,heat]", "machine", "second"):
            line = (*SHORT, *tables, f"data.root={good}", f"data.{key}={value}")
            if (key, value) not in AS_GOOD:
                yield Case("series files", f"table: data.{key}={value}", "train", line)


# Settings of the good table that will do.
AS_GOOD = {("features", "second"), ("features", "null"), ("series", "machine"), ("time", "second")}


def _asked() -> Iterator[tuple[str, bytes]]:
    """Files of series that the network does not take."""
    good = arrays(x=VALUES)
    texts = {
        "empty": "",
        "spaces": " \n\t\n",
        "a brace": "{",
        "a bracket": "[",
        "an object of nothing": "{}",
        "another object": '{"image": [[0]]}',
        "values of null": '{"values": null}',
        "values of a text": '{"values": "abc"}',
        "an empty list": "[]",
        "a list of nothing": "[[]]",
        "a list of texts": '[["a", "b"]]',
        "a list of true": "[[true, false]]",
        "objects": "[[{}, {}]]",
        "lists and numbers": "[[[1, 2]], 3]",
        "steps of several sizes": "[[1, 2], [3]]",
        "steps of another size": "[[1, 2, 3]]",
        "four dimensions": "[[[[1, 2]]]]",
        "nulls": "[[null, null], [null, null]]",
        "a missing number": "[[1, null], [1, 2]]",
        "a number without end": "[[1, " + "9" * 4000 + "]]",
        "a number of 100,000 digits": "[[1, " + "9" * 100_000 + "]]",
        "an infinite number": "[[1, 1e999]]",
        "NaN": "[[1, NaN], [1, 2]]",
        "deep": "[" * 100_000 + "]" * 100_000,
        "series of several lengths": "[[[1, 2]], [[1, 2], [3, 4]]]",
        "lengths of 0": '{"values": [[[1, 2]]], "lengths": [0]}',
        "lengths too many": '{"values": [[[1, 2]]], "lengths": [1, 1]}',
        "lengths of a text": '{"values": [[[1, 2]]], "lengths": "abc"}',
        "lengths of lists": '{"values": [[[1, 2]]], "lengths": [[1], [1, 2]]}',
        "lengths beyond counting": '{"values": [[[1, 2]]], "lengths": [' + "9" * 30 + "]}",
        "lengths of series of several": '{"values": [[[1, 2]], [[1, 2], [3, 4]]], "lengths": [1, 1]}',
        "a CSV of names": "a,b\n",
        "a CSV of one column": "1\n2\n3\n",
        "a CSV of three columns": "1,2,3\n4,5,6\n",
        "a CSV that widens": "1,2\n3,4,5\n",
        "a CSV of texts": "1,2\n3,four\n",
        "a CSV of infinite numbers": "1,inf\n2,3\n",
        "a CSV of numbers too large for 32 bits": "1,1e300\n2,3\n",
        "a CSV of nothing": "a,b\n,\n",
        "a CSV with a field of 300,000 letters": "1,2\n" + "x" * 300_000 + ",3\n",
        "a CSV with an open quote": '1,2\n"3,4\n' + "5,6\n" * 100_000,
        "a CSV with a zero": "1,2\n3,\x00\n",
        "XML": "<a/>",
    }
    yield from ((name, text.encode()) for name, text in texts.items())
    yield "UTF-16", "1,2\n3,4\n".encode("utf-16")
    yield "bytes", bytes(range(256)) * 10
    yield "the start of a zip file", b"PK\x03\x04"
    yield "npz cut short", good[:-100]
    yield "npz of other names", arrays(a=VALUES)
    yield "npz of no array", b"PK\x05\x06" + bytes(18)
    yield "npz of objects", arrays(x=np.array([{"a": 1}], dtype=object))
    yield "npz of texts", arrays(x=VALUES.astype(str))
    yield "npz of complex numbers", arrays(x=VALUES.astype(complex))
    yield "npz of records", arrays(x=np.zeros((2, 5, 2), dtype=[("a", "f4")]))
    yield "npz of no dimension", arrays(x=np.float64(3))
    yield "npz of one dimension", arrays(x=VALUES[0, 0])
    yield "npz of four dimensions", arrays(x=VALUES[None])
    yield "npz of another size", arrays(x=VALUES[..., :1])
    yield "npz of no series", arrays(x=VALUES[:0])
    yield "npz of no step", arrays(x=VALUES[:, :0])
    yield "npz of no feature", arrays(x=VALUES[..., :0])
    yield "npz of infinite numbers", arrays(x=VALUES * np.inf)
    yield "npz with lengths of texts", arrays(x=VALUES, lengths=np.array(["a"] * 40))
    yield "npz with lengths of objects", arrays(x=VALUES, lengths=np.array([[1], 2], dtype=object))
    yield "npz with lengths beyond the steps", arrays(x=VALUES, lengths=CLASSES + 5)
    for name, content in (
        ("10^15 numbers", _shape(f"({10**15},)")),
        ("10^30 times no number", _shape(f"(0, {10**30})")),
        ("sizes that overflow", _shape("(4294967296, 4294967296, 2)")),
        ("a size below 0", _shape("(-1, 5, 2)")),
    ):
        yield f"npz of {name}", _zipped(content, "x.npy")
    for name, method in (("bzip2", zipfile.ZIP_BZIP2), ("LZMA", zipfile.ZIP_LZMA)):
        packed = bytearray(_zipped(_npy(VALUES), "x.npy", method))
        packed[60:90] = bytes(range(100, 130))
        yield f"npz, damaged {name}", bytes(packed)
