"""IDX files: what is read, and what each kind of damage is called."""

import gzip
import hashlib
import tracemalloc

import numpy as np
import pytest

from recurrent_cells.data.idx import read_idx
from recurrent_cells.errors import UserError
from tests.support import write_idx

IMAGES = np.arange(2 * 3 * 5, dtype=np.uint8).reshape(2, 3, 5)


@pytest.mark.parametrize("array", [IMAGES, IMAGES[:, 0, 0]], ids=["images", "labels"])
@pytest.mark.parametrize("compressed", [False, True])
def test_plain_and_gzipped_files_give_the_same(tmp_path, array, compressed):
    path = tmp_path / "file"
    write_idx(path, array)
    plain = path.read_bytes()
    if compressed:
        path.write_bytes(gzip.compress(plain))
    file = read_idx(path, array.ndim)
    assert np.array_equal(file.array, array)
    assert file.array.dtype == np.uint8
    assert file.sha256 == hashlib.sha256(plain).hexdigest()


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda content: b"", "the file is empty"),
        (lambda content: gzip.compress(b""), "the file is empty"),
        (lambda content: content[:10], "truncated, of the header's 16 bytes it has 10"),
        (lambda content: content[:-1], "truncated, 45 bytes where its header (2, 3, 5) means 46"),
        (lambda content: content + b"!", "too long, over 46 bytes where its header (2, 3, 5) means 46"),
        (lambda content: b"\x89PNG" + content, "wrong magic number 0x89504e47, expected 0x00000803"),
        (lambda content: content[:2] + b"\x0d" + content[3:], "wrong magic number 0x00000d03"),
        (lambda content: content[:4] + b"\xff" * 12, "truncated, 16 bytes where its header"),
        (lambda content: content[:4] + b"\x00" * 12, "holds nothing"),
        (lambda content: gzip.compress(content)[:-12], "truncated, the gzip stream ends too early"),
        (lambda content: gzip.compress(content)[:20] + b"damaged" + gzip.compress(content)[27:], "damaged gzip file"),
        (lambda content: b"\x1f\x8bnot gzip at all", "damaged gzip file"),
    ],
)
def test_damage_is_named_with_the_file(tmp_path, damage, words):
    path = tmp_path / "images"
    write_idx(path, IMAGES)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(UserError) as caught:
        read_idx(path, 3)
    assert str(caught.value).startswith(f"{path}: {words}")
    assert len(str(caught.value).splitlines()) == 1


def test_labels_in_the_place_of_images_are_refused(tmp_path):
    path = tmp_path / "labels"
    write_idx(path, IMAGES[:, 0, 0])
    with pytest.raises(UserError, match="wrong magic number 0x00000801, expected 0x00000803"):
        read_idx(path, 3)


def test_a_file_that_cannot_be_opened_is_named(tmp_path):
    with pytest.raises(UserError, match=r"absent: cannot be read \(No such file or directory\)"):
        read_idx(tmp_path / "absent", 1)


def test_no_more_of_a_file_is_decompressed_than_its_header_asks_for(tmp_path):
    path, more = tmp_path / "images.gz", 100 << 20
    write_idx(path, IMAGES)
    path.write_bytes(gzip.compress(path.read_bytes() + bytes(more), 1))
    tracemalloc.start()
    try:
        with pytest.raises(UserError, match="too long"):
            read_idx(path, 3)
        assert tracemalloc.get_traced_memory()[1] < more / 10
    finally:
        tracemalloc.stop()
