"""Arrays from files, and series of several lengths side by side."""

import io
import zipfile

import numpy as np
import pytest
from numpy.lib import format as npy

from recurrent_cells.data.arrays import arrays_of, filled, padded, read_npy, read_npz, valid_steps
from recurrent_cells.errors import UserError

NAN = np.nan


def test_an_npz_file_gives_its_arrays_by_name(tmp_path):
    path = tmp_path / "file.npz"
    np.savez_compressed(path, a=np.arange(3), b=np.array(["x"]))
    arrays = read_npz(path)
    assert list(arrays) == ["a", "b"]
    assert arrays["a"].tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (lambda whole: b"PK", "not an .npz file of numpy.savez, or damaged"),
        (lambda whole: whole[: len(whole) // 2], "not an .npz file of numpy.savez, or damaged"),
        (lambda whole: whole[:60] + b"damaged!" + whole[68:], "not an .npz file of numpy.savez, or damaged"),
    ],
)
def test_a_damaged_npz_file_is_named(tmp_path, content, words):
    path = tmp_path / "file.npz"
    np.savez(path, a=np.arange(50))
    path.write_bytes(content(path.read_bytes()))
    with pytest.raises(UserError) as caught:
        read_npz(path)
    assert str(caught.value).startswith(f"{path}: {words}")
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_damaged_npz_file_of_another_program_is_named(method):
    content, array = io.BytesIO(), io.BytesIO()
    np.save(array, np.arange(500))
    with zipfile.ZipFile(content, "w", method) as file:
        file.writestr("a.npy", array.getvalue())
    content.seek(60)
    content.write(bytes(range(100, 130)))
    with pytest.raises(UserError, match=r"^the file: not an \.npz file of numpy\.savez, or damaged"):
        arrays_of(content, "the file")


def test_an_array_of_more_than_countable_numbers_is_refused():
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as file, file.open("a.npy", "w") as array:
        npy.write_array_header_1_0(array, {"descr": "<f8", "fortran_order": False, "shape": (0, 10**30)})
    with pytest.raises(UserError, match=r"^the file: not an \.npz file of numpy\.savez, or damaged"):
        arrays_of(content, "the file")


def test_python_objects_are_never_unpickled(tmp_path):
    ragged = np.array([np.zeros(2), np.zeros(3)], dtype=object)
    np.savez(tmp_path / "file.npz", a=ragged)
    with pytest.raises(UserError, match=r"file\.npz: a holds Python objects, which are not read"):
        read_npz(tmp_path / "file.npz")
    np.save(tmp_path / "file.npy", ragged, allow_pickle=True)
    with pytest.raises(UserError, match=r"file\.npy: not an \.npy file of numbers"):
        read_npy(tmp_path / "file.npy")


def test_memory_is_asked_for_before_an_array_is_read(tmp_path, monkeypatch):
    np.savez_compressed(tmp_path / "file.npz", a=np.zeros(1 << 20))
    monkeypatch.setattr("recurrent_cells.memory.memory", lambda: 1 << 20)
    with pytest.raises(UserError, match=r"file\.npz: needs 0\.0 GiB of memory, .*; give a smaller file$"):
        read_npz(tmp_path / "file.npz")


def test_series_of_several_lengths_stand_side_by_side():
    values, lengths = padded([np.ones((2, 1), np.float32), np.ones((4, 1), np.float32)], "here")
    assert values[..., 0].tolist() == [[1, 1, 0, 0], [1, 1, 1, 1]]
    assert lengths.tolist() == [2, 4]
    assert valid_steps(lengths, 4).tolist() == [[True, True, False, False], [True] * 4]


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ("zero", [[0, 2, 0, 4, NAN], [0, 0, 0, 0, 0]]),
        ("mean", [[3, 2, 3, 4, NAN], [0, 0, 0, 0, 0]]),
        ("last", [[2, 2, 2, 4, NAN], [0, 0, 0, 0, 0]]),
    ],
)
def test_what_stands_for_a_missing_number(how, expected):
    series = np.array([[NAN, 2, NAN, 4, NAN], [NAN] * 5], dtype=np.float32)[..., None]
    found = filled(series, valid_steps(np.array([4, 5]), 5), how)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found[..., 0], np.array(expected, dtype=np.float32))
