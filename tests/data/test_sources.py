"""Sources of images: where files are looked for, what is refused, and downloads that go wrong."""

import gzip
import urllib.error
from pathlib import Path

import numpy as np
import pytest
import torchvision

from recurrent_cells import paths
from recurrent_cells.config.schema import DataConfig
from recurrent_cells.config.validation import validated
from recurrent_cells.data import examples, published
from recurrent_cells.data.examples import load_examples
from recurrent_cells.data.idx import read_idx
from recurrent_cells.data.idx_folder import IDX_FILES
from recurrent_cells.errors import UserError
from tests.support import compose_config, write_data_set, write_idx


def idx(folder: Path, **settings: object):
    return load_examples(DataConfig(name="idx", root=str(folder), **settings))  # type: ignore[arg-type]


@pytest.fixture
def small_mnist(monkeypatch, idx_folder):
    """Makes the tiny data set pass for MNIST, whose bytes are known."""
    files = [read_idx(idx_folder / name, ndim) for name, ndim in zip(IDX_FILES, (3, 1, 3, 1), strict=True)]
    monkeypatch.setattr(published, "SHAPES", tuple(file.array.shape for file in files))
    monkeypatch.setattr(published, "MNIST_SHA256", tuple(file.sha256 for file in files))
    return idx_folder


def test_an_idx_folder_gives_its_arrays_and_classes(idx_folder):
    source = idx(idx_folder)
    assert source.train.values.shape == (60, 6, 5)
    assert source.test is not None
    assert source.test.values.shape == (20, 6, 5)
    assert source.num_classes == 4
    assert idx(idx_folder, num_classes=7).num_classes == 7


def test_the_digest_tells_data_sets_apart_and_not_their_compression(tmp_path, idx_folder):
    digest = idx(idx_folder).digest
    packed = tmp_path / "packed"
    packed.mkdir()
    for name in IDX_FILES:
        (packed / f"{name}.gz").write_bytes(gzip.compress((idx_folder / name).read_bytes()))
    assert idx(packed).digest == digest
    assert idx(write_data_set(tmp_path / "other", classes=3)).digest != digest


@pytest.mark.parametrize("place", ["", "mnist", "MNIST/raw"])
def test_mnist_is_read_from_the_root_from_its_folder_there_and_from_torchvisions_layout(tmp_path, small_mnist, place):
    folder = tmp_path / "root" / place
    folder.mkdir(parents=True)
    for name in IDX_FILES:
        (small_mnist / name).rename(folder / name)
    source = load_examples(DataConfig(name="mnist", root=str(tmp_path / "root"), num_classes=10))
    assert (len(source.train.values), source.num_classes) == (60, 10)


def test_files_of_mnist_are_not_taken_for_another_data_set(small_mnist):
    with pytest.raises(UserError, match=r"ubyte: data=fashion_mnist was asked for .* use data=mnist$"):
        load_examples(DataConfig(name="fashion_mnist", root=str(small_mnist)))


@pytest.mark.parametrize(("name", "grey"), [("fashion_mnist", 48), ("kmnist", 73)])
def test_files_of_the_two_others_are_not_taken_for_each_other(small_mnist, name, grey):
    """Told by how grey their images are: those of Fashion-MNIST 73 of 255 on average, those of KMNIST 49."""
    other = {"fashion_mnist": "kmnist", "kmnist": "fashion_mnist"}[name]
    for file, count in zip(IDX_FILES[::2], (60, 20), strict=True):
        write_idx(small_mnist / file, np.full((count, 6, 5), grey))
    for file, count in zip(IDX_FILES[1::2], (60, 20), strict=True):
        write_idx(small_mnist / file, np.arange(count) % 3)
    with pytest.raises(UserError, match=rf"ubyte: data={name} was asked for .* use data={other}$"):
        load_examples(DataConfig(name=name, root=str(small_mnist)))
    assert len(load_examples(DataConfig(name=other, root=str(small_mnist))).train.values) == 60


def test_a_stray_config_file_names_no_source(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "stray.yaml").write_text("name: stray\n")
    with pytest.raises(UserError, match=r"^data.name=stray: allowed is one of .*fashion_mnist, idx, kmnist, mnist, "):
        validated(compose_config("data=stray", f"hydra.searchpath=[{tmp_path}]"))


def test_other_bytes_are_not_taken_for_mnist(small_mnist):
    path = small_mnist / IDX_FILES[1]
    path.write_bytes(path.read_bytes()[:-1] + b"\x00")
    with pytest.raises(UserError, match=r"train-labels-idx1-ubyte: these are not the bytes of MNIST"):
        load_examples(DataConfig(name="mnist", root=str(small_mnist)))


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist", "kmnist"])
def test_files_of_another_size_are_not_taken_for_mnist_or_its_like(idx_folder, name):
    with pytest.raises(UserError, match=rf"ubyte: 60 x 6 x 5 bytes where data={name} has 60000 x 28 x 28"):
        load_examples(DataConfig(name=name, root=str(idx_folder)))


def test_a_missing_folder_and_a_file_in_its_place_are_named(tmp_path):
    with pytest.raises(UserError, match=rf"^data.root={tmp_path}/absent: does not exist; give a folder with train-"):
        idx(tmp_path / "absent")
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=rf"^data.root={tmp_path}/file: is not a folder; "):
        load_examples(DataConfig(name="mnist", root=str(tmp_path / "file")))


def test_missing_files_are_named(idx_folder):
    for name in IDX_FILES[1:3]:
        (idx_folder / name).unlink()
    with pytest.raises(UserError) as caught:
        idx(idx_folder)
    assert str(caught.value) == (
        f"data.root={idx_folder}: no train-labels-idx1-ubyte, t10k-images-idx3-ubyte, plain or .gz; put them there"
    )


def test_counts_that_differ_are_named_with_both_files(idx_folder):
    write_idx(idx_folder / IDX_FILES[3], np.zeros(19))
    with pytest.raises(UserError, match=r"t10k-labels-idx1-ubyte: 19 labels, but t10k-images-idx3-ubyte has 20 images"):
        idx(idx_folder)


def test_test_images_of_another_size_are_refused(idx_folder):
    write_idx(idx_folder / IDX_FILES[2], np.zeros((20, 5, 6)))
    with pytest.raises(UserError, match=r"t10k-images-idx3-ubyte: images of 5 x 6, but 6 x 5 in train-images"):
        idx(idx_folder)


def test_labels_outside_the_classes_are_refused(idx_folder):
    with pytest.raises(
        UserError, match=r"^data.num_classes=3: .*train-labels.* has the label 3; allowed is at least 4"
    ):
        idx(idx_folder, num_classes=3)
    write_idx(idx_folder / IDX_FILES[3], np.full(20, 9))
    for num_classes in (None, 10):
        with pytest.raises(UserError, match=r"t10k-labels.*: the class 9 is in no training example of .*train-labels"):
            idx(idx_folder, num_classes=num_classes)


def test_mnist_5k_has_the_digits_that_runs_on_it_recorded():
    found = load_examples(DataConfig(name="mnist_5k"))
    assert found.digest == "8fa65870cb2cfc9a"
    assert found.train.values.shape == (5000, 28, 28)
    assert np.bincount(found.train.targets).tolist() == [500] * 10
    assert found.test is None


class Fetcher:
    """Stands for a torchvision data set: writes what it is given, then ends as it is told."""

    def __init__(self, files: dict[str, bytes], ending: BaseException | None = None) -> None:
        self.files, self.ending, self.calls = files, ending, 0

    def __call__(self, root: str, download: bool) -> None:
        assert download
        self.calls += 1
        folder = Path(root) / "MNIST" / "raw"
        folder.mkdir(parents=True)
        for name, content in self.files.items():
            (folder / name).write_bytes(content)
        if self.ending is not None:
            raise self.ending


@pytest.fixture
def default_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "DATASETS", tmp_path / "datasets")
    return tmp_path / "datasets"


def test_no_network_names_the_ways_out_and_leaves_nothing(default_folder, monkeypatch):
    def urlopen(*_: object, **__: object):
        raise urllib.error.URLError("Name or service not known")

    monkeypatch.setattr("urllib.request.urlopen", urlopen)
    for name in ("mnist", "fashion_mnist", "kmnist"):
        with pytest.raises(UserError) as caught:
            load_examples(DataConfig(name=name))
        first, second = str(caught.value).splitlines()
        assert first.startswith(f"data={name}: the download into {default_folder} failed (<urlopen error Name or")
        assert "data.root=FOLDER" in second
        assert "data=mnist_5k" in second
    assert [path.name for path in default_folder.iterdir()] == [".lock"]


@pytest.mark.parametrize("ending", [RuntimeError("File not found or corrupted."), TimeoutError("timed out")])
def test_a_download_that_breaks_off_is_not_taken_for_data_the_next_time(
    default_folder, small_mnist, monkeypatch, ending
):
    whole = {name: (small_mnist / name).read_bytes() for name in IDX_FILES}
    cut = Fetcher({**whole, IDX_FILES[2]: whole[IDX_FILES[2]][:50]}, ending)
    monkeypatch.setattr(torchvision.datasets, "MNIST", cut)
    with pytest.raises(UserError, match=str(ending)):
        load_examples(DataConfig(name="mnist"))
    assert [path.name for path in default_folder.iterdir()] == [".lock"]

    monkeypatch.setattr(torchvision.datasets, "MNIST", Fetcher(whole))
    assert len(load_examples(DataConfig(name="mnist")).train.values) == 60


def test_what_a_killed_download_left_is_removed_and_done_again(default_folder, small_mnist, monkeypatch):
    aside = default_folder / ".download" / "MNIST" / "raw"
    aside.mkdir(parents=True)
    (aside / IDX_FILES[0]).write_bytes(b"half")
    fetcher = Fetcher({name: (small_mnist / name).read_bytes() for name in IDX_FILES})
    monkeypatch.setattr(torchvision.datasets, "MNIST", fetcher)
    load_examples(DataConfig(name="mnist"))
    examples._load.cache_clear()
    load_examples(DataConfig(name="mnist"))
    assert fetcher.calls == 1
    assert sorted(path.name for path in (default_folder / "MNIST" / "raw").iterdir()) == sorted(IDX_FILES)
    assert not (default_folder / ".download").exists()


def test_a_root_that_was_given_is_downloaded_into_only_if_asked(tmp_path, small_mnist, monkeypatch):
    fetcher = Fetcher({name: (small_mnist / name).read_bytes() for name in IDX_FILES})
    monkeypatch.setattr(torchvision.datasets, "MNIST", fetcher)
    root = tmp_path / "root"
    root.mkdir()
    with pytest.raises(UserError, match=r"put them there, or data.download=true fetches them"):
        load_examples(DataConfig(name="mnist", root=str(root)))
    assert fetcher.calls == 0
    assert len(load_examples(DataConfig(name="mnist", root=str(root), download=True)).train.values) == 60
    assert fetcher.calls == 1


def test_a_download_folder_that_cannot_be_made_is_named(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setattr(paths, "DATASETS", tmp_path / "file" / "datasets")
    with pytest.raises(
        UserError, match=rf"^data=mnist: the download into {tmp_path}/file/datasets failed \(.*Not a dir"
    ):
        load_examples(DataConfig(name="mnist"))
