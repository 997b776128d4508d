"""Files that must be refused: data, config files, pictures; and how they are made."""

import gzip
import io
import os
import pickle
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.malformed.sandbox import Case
from recurrent_cells.data.idx_folder import IDX_FILES

SHORT = ("trainer=cpu", "trainer.max_steps=2", "trainer.eval_every=2", "data=idx", "data.val_size=10")
TINY = (*SHORT, "data.batch_size=8", "model.hidden_size=4", "trainer.progress=false")
GIBIBYTE = 1 << 30


def idx(array: np.ndarray, *sizes: int, kind: int = 8) -> bytes:
    """An IDX file, of other sizes in its header if some are given."""
    sizes = sizes or array.shape
    return struct.pack(f">4B{len(sizes)}I", 0, 0, kind, len(sizes), *sizes) + array.astype(np.uint8).tobytes()


def good_files(train: int = 60, test: int = 20) -> list[bytes]:
    """Four IDX files that can be trained on: images of 6 × 5 in four classes."""
    made = []
    for count in (train, test):
        labels = np.arange(count) % 4
        images = np.random.RandomState(0).randint(0, 64, (count, 6, 5))
        images[np.arange(count), labels] += 128
        made += [idx(images), idx(labels)]
    return made


def bomb(header: bytes, size: int) -> bytes:
    """A gzip file of a header and so many zeros."""
    buffer = io.BytesIO()
    with gzip.GzipFile(fileobj=buffer, mode="wb", compresslevel=9) as file:
        file.write(header)
        for _ in range(size >> 20):
            file.write(bytes(1 << 20))
    return buffer.getvalue()


def _data() -> Iterator[tuple[str, dict[int, bytes | None]]]:
    """Names of data sets, with the files that are not as in a good one; None is a file that is missing."""
    good = good_files()
    images, labels = np.frombuffer(good[0][16:], np.uint8).reshape(60, 6, 5), np.arange(60) % 4
    for place, file in enumerate(IDX_FILES):
        whole = good[place]
        damaged: dict[str, bytes | None] = {
            "missing": None,
            "empty": b"",
            "one byte": b"\x00",
            "a header cut short": whole[:7],
            "truncated": whole[:-1],
            "too long": whole + b"\x00",
            "text": b"0,0,0\n" * 100,
            "a zip file": b"PK\x03\x04" + whole,
            "floats": whole[:2] + b"\x0d" + whole[3:],
            "another number of dimensions": whole[:3] + b"\x02" + whole[4:],
            "gzip cut short": gzip.compress(whole)[:-12],
            "gzip with a wrong sum": gzip.compress(whole)[:-8] + bytes(8),
            "gzip of noise": b"\x1f\x8b" + bytes(range(256)),
            "gzip in gzip": gzip.compress(gzip.compress(whole)),
            "gzip and more": gzip.compress(whole) + b"more",
            "a pickle": pickle.dumps({"images": 1}),
        }
        for number, (name, content) in enumerate(damaged.items()):
            if place == 0 or number % 4 == place:
                yield f"{file}: {name}", {place: content}
    yield "sizes of 2^32 - 1", {0: idx(images, 2**32 - 1, 2**32 - 1, 2**32 - 1)}
    yield "a size of 0", {0: idx(images, 0, 6, 5)}
    yield "images of no width", {0: idx(images, 60, 6, 0)}
    yield "a gzip bomb", {0: bomb(idx(images)[:16], 2 * GIBIBYTE)}
    yield "a gzip bomb that its header admits", {0: bomb(struct.pack(">4B3I", 0, 0, 8, 3, 2**31, 28, 28), GIBIBYTE)}
    yield "a gzip bomb without a header", {1: bomb(b"", 2 * GIBIBYTE)}
    yield "a label too few", {1: idx(labels[:-1])}
    yield "a label too many", {1: idx(np.append(labels, 0))}
    yield "a test label of no class", {3: idx(np.full(20, 8))}
    yield "test images of another size", {2: idx(np.zeros((20, 5, 5)))}
    yield "one class", {1: idx(np.zeros(60)), 3: idx(np.zeros(20))}
    yield "one class, and another in the test", {1: idx(np.zeros(60)), 3: idx(np.ones(20))}
    yield "all black", {0: idx(np.zeros((60, 6, 5)))}
    yield "all of one grey", {0: idx(np.full((60, 6, 5), 77))}
    yield "two images", {0: idx(images[:2]), 1: idx(labels[:2])}


def data_cases(folder: Path) -> Iterator[Case]:
    good = good_files()
    for number, (name, damaged) in enumerate(_data()):
        place = folder / f"data{number}"
        place.mkdir()
        for file, (index, content) in zip(IDX_FILES, enumerate(good), strict=True):
            found = damaged.get(index, content)
            if found is not None:
                (place / file).write_bytes(found)
        yield Case("data files", name, "train", (*TINY, f"data.root={place}"))
    for name, make in _odd_places().items():
        place = folder / f"place{len(list(folder.iterdir()))}"
        make(place)
        yield Case("data files", name, "train", (*TINY, f"data.root={place}"))


def _odd_places() -> dict[str, Callable[[Path], object]]:
    def of(make: Callable[[Path], object]) -> Callable[[Path], object]:
        """A folder that is good but for the place of its first file, where `make` makes something else."""

        def fill(folder: Path) -> None:
            folder.mkdir()
            for file, content in zip(IDX_FILES[1:], good_files()[1:], strict=True):
                (folder / file).write_bytes(content)
            make(folder / IDX_FILES[0])

        return fill

    return {
        "a folder in the place of a file": of(Path.mkdir),
        "a pipe in the place of a file": of(os.mkfifo),
        "a link to itself in the place of a file": of(lambda path: path.symlink_to(path)),
        "a link to /dev/zero in the place of a file": of(lambda path: path.symlink_to("/dev/zero")),
        "a link to /proc/self/mem in the place of a file": of(lambda path: path.symlink_to("/proc/self/mem")),
        "a file in the place of the folder": lambda path: path.write_bytes(b""),
        "a folder that links to itself": lambda path: path.symlink_to(path),
        "an empty folder": Path.mkdir,
    }


def _configs() -> dict[str, bytes]:
    """Config files that `+bad=NAME` adds."""
    laughs = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 9)
    )
    return {
        "not YAML": b"a: [1, 2\nb: }{",
        "a tab": b"model:\n\thidden_size: 3",
        "bytes": bytes(range(256)),
        "not UTF-8": b"seed: \xff\xfe",
        "a zero": b"seed: 1\x00",
        "a list": b"[1, 2, 3]",
        "a text": b"hello",
        "a number": b"3",
        "an unknown key": b"# @package _global_\nmodel:\n  hiden_size: 3",
        "a wrong type": b"# @package _global_\nseed: abc",
        "a section for a value": b"# @package _global_\nseed: {a: 1}",
        "a value for a section": b"# @package _global_\nmodel: 3",
        "out of range": b"# @package _global_\nmodel: {hidden_size: 0}",
        "a key twice": b"# @package _global_\nseed: 1\nseed: 2",
        "a tag that runs code": b"# @package _global_\nseed: !!python/object/apply:os.mkdir [/tmp/ran]",
        "a tag of an object": b"# @package _global_\nseed: !!python/name:os.system",
        "an unknown tag": b"# @package _global_\nseed: !absent 3",
        "an alias of nothing": b"# @package _global_\nseed: *absent",
        "an alias of itself": b"# @package _global_\nmodel: &a {head: *a}",
        "a billion laughs": f"# @package _global_\n{laughs}".encode(),
        "an interpolation of itself": b"# @package _global_\nseed: ${seed}",
        "an interpolation of nothing": b"# @package _global_\nseed: ${absent}",
        "defaults that are not there": b"# @package _global_\ndefaults: [absent]\nseed: 1",
        "defaults that are itself": b"# @package _global_\ndefaults: [name]\nseed: 1",
        "defaults of a wrong kind": b"# @package _global_\ndefaults: 3",
        "an override of nothing": b"# @package _global_\ndefaults: [{override /absent: x}]",
        "a package of a wrong kind": b"# @package [\nseed: 1",
        "deep": b"# @package _global_\nseed: " + b"[" * 5000 + b"]" * 5000,
        "a huge integer": b"# @package _global_\nseed: " + b"9" * 5000,
        "a date": b"# @package _global_\nseed: 2020-01-01",
        "a set": b"# @package _global_\nseed: !!set {a, b}",
        "binary": b"# @package _global_\nseed: !!binary aGVsbG8=",
        "a sweep's own key": b"# @package _global_\nsweep: {parent: abc}",
    }


def config_cases(folder: Path) -> Iterator[Case]:
    conf = folder / "conf"
    (conf / "bad").mkdir(parents=True)
    for number, (name, content) in enumerate(_configs().items()):
        file = conf / "bad" / f"c{number}.yaml"
        file.write_bytes(content.replace(b"[name]", f"[c{number}]".encode()))
        yield Case("config files", name, "train", ("--config-dir", str(conf), f"+bad=c{number}", *TINY[:2]))
    (conf / "bad" / "folder.yaml").mkdir()
    (conf / "bad" / "pipe.yaml").symlink_to("/dev/null/x")
    for name in ("folder", "pipe"):
        yield Case("config files", f"a {name} for a file", "train", ("--config-dir", str(conf), f"+bad={name}"))
    for number, (name, code) in enumerate(_extensions().items()):
        file = folder / f"extension{number}.py"
        file.write_bytes(code)
        yield Case("extensions", name, "train", (f"extensions=[{file}]", *TINY[:2]))


def _extensions() -> dict[str, bytes]:
    return {
        "empty": b"",
        "no Python": b"def (",
        "bytes": bytes(range(256)),
        "an import of nothing": b"import absent_module",
        "an exception": b"raise RuntimeError('x\\ny\\nz')",
        "an exit": b"import sys\nsys.exit(3)",
        "nothing added": b"x = 1",
        "a name that is taken": b"from recurrent_cells.models.cells import Cell\nclass A(Cell):\n    name = 'lstm'",
        "a name that is none": b"from recurrent_cells.models.cells import Cell\nclass A(Cell):\n    name = 'a b'",
        "a name that is a number": b"from recurrent_cells.models.cells import Cell\nclass A(Cell):\n    name = 3",
        "recursion": b"def f(): f()\nf()",
    }


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(width: int, height: int, pixels: bytes, *more: bytes) -> bytes:
    """A PNG file in grey with such a header, whatever its pixels are."""
    start = b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", struct.pack(">2I5B", width, height, 8, 0, 0, 0, 0))
    return start + b"".join(more) + _chunk(b"IDAT", pixels) + _chunk(b"IEND", b"")


def _saved(form: str) -> bytes:
    buffer = io.BytesIO()
    ramp = np.add.outer(np.arange(40), np.arange(30)) * 3
    Image.fromarray(ramp.astype(np.uint8)).save(buffer, form)
    return buffer.getvalue()


def _pictures() -> Iterator[tuple[str, bytes]]:
    zeros = zlib.compress(bytes(100), 9)
    yield from (
        ("empty.png", b""),
        ("text.png", b"hello\n" * 100),
        ("html.png", b"<html><img></html>"),
        ("drawing.svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>"),
        ("script.eps", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(/tmp/ran) (w) file closefile\n"),
        ("paper.pdf", b"%PDF-1.4\n"),
        ("noise.jpg", bytes(range(256)) * 10),
        ("pickle.png", pickle.dumps([1, 2, 3])),
        ("array.png", b"\x93NUMPY\x01\x00"),
        ("zip.png", _zip()),
        ("signature.png", b"\x89PNG\r\n\x1a\n"),
        ("huge.png", png(100_000, 100_000, zeros)),
        ("widest.png", png(2**31 - 1, 1, zeros)),
        ("sides_of_2_to_32.png", png(2**32 - 1, 2**32 - 1, zeros)),
        ("no_width.png", png(0, 10, zeros)),
        ("few_pixels.png", png(100, 100, zeros)),
        ("no_pixels.png", png(10, 10, b"")),
        ("bomb.png", png(8000, 8000, zlib.compress(bytes(64_008_000), 9))),
        ("text_bomb.png", png(10, 10, zeros, _chunk(b"zTXt", b"a\x00\x00" + zlib.compress(bytes(100 << 20), 9)))),
        ("wrong_sum.png", _saved("PNG")[:30] + b"\x00\x00" + _saved("PNG")[32:]),
        ("huge.gif", b"GIF89a\xff\xff\xff\xff\x00\x00\x00,\x00\x00\x00\x00\xff\xff\xff\xff\x00\x08\x00\x00;"),
        ("no_frame.gif", b"GIF89a\x05\x00\x05\x00\x00\x00\x00;"),
        (
            "huge.bmp",
            b"BM" + struct.pack("<3I", 100, 0, 54) + struct.pack("<3I2H6I", 40, 99999, 99999, 1, 24, *[0] * 6),
        ),
        ("huge.pgm", b"P5 100000 100000 255\n" + bytes(100)),
        ("endless.pgm", b"P5 " + b"9" * 10_000 + b" 1 255\n"),
        ("negative.pgm", b"P5 -5 5 255\n" + bytes(25)),
        ("short.pgm", b"P5 50 50 255\n" + bytes(25)),
        ("circle.tif", b"II*\x00\x08\x00\x00\x00\x00\x00\x08\x00\x00\x00"),
        ("far.tif", b"II*\x00\xff\xff\xff\x7f"),
        ("huge.webp", b"RIFF\xff\xff\xff\x7fWEBPVP8X\x0a\x00\x00\x00\x00\x00\x00\x00\xff\xff\xff\xff\xff\xff"),
    )
    for form in ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM"):
        whole = _saved(form)
        for share in (0.02, 0.3):
            yield f"{share:.0%}_of_a.{form.lower()}", whole[: max(int(len(whole) * share), 3)]


def _zip() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("a.png", b"x")
    return buffer.getvalue()


def picture_cases(folder: Path) -> Iterator[Case]:
    """With a network at hand; each is told of by its name, and others would still be answered."""
    place = folder / "pictures"
    (place / "none").mkdir(parents=True)
    for name, content in _pictures():
        (place / name).write_bytes(content)
        yield Case("pictures", name, "predict", ("run=best", f"images={place / name}"), code=1)
    os.mkfifo(place / "pipe.png")
    (place / "circle.png").symlink_to(place / "circle.png")
    for name in ("pipe.png", "none", "circle.png"):
        yield Case("pictures", name, "predict", ("run=best", f"images={place / name}"), code=1)
    yield Case("pictures", "/dev/zero", "predict", ("run=best", "images=/dev/zero"), code=1)
    yield Case("pictures", "/proc/self/mem", "predict", ("run=best", "images=/proc/self/mem"), code=1)
    yield Case("pictures", "nothing on standard input", "predict", ("run=best", "images=-"), code=1)
    text = Case("pictures", "text on standard input", "predict", ("run=best", "images=-"), code=1, stdin=b"hello")
    yield text
    yield Case("pictures", "300 MiB on standard input", "predict", text.arguments, code=1, stdin=bytes(300 << 20))
