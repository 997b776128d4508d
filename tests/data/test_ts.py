"""The text format of the UCR and UEA archives: `data=ts`."""

import zipfile

import numpy as np
import pytest

from recurrent_cells import paths
from recurrent_cells.cli import series
from recurrent_cells.config.schema import DataConfig
from recurrent_cells.data.splits import load_splits
from recurrent_cells.data.ts import read_ts
from recurrent_cells.data.ts_wheel import unpack
from recurrent_cells.errors import UserError

HEADER = "# a remark\n@problemName Gestures\n@timeStamps false\n@classLabel true wave still\n@data\n"
TRAIN = HEADER + "".join(f"{n},{n + 1},{n + 2}:0.5,{-n},1e1:{'wave' if n % 2 else 'still'}\n" for n in range(20))
TEST = HEADER + "1,2:3,4:still\n5,6,7,8:9,10,11,12:wave\n"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "Gestures_TRAIN.ts").write_text(TRAIN)
    (tmp_path / "Gestures_TEST.ts").write_text(TEST)
    return tmp_path


def config(folder, **settings):
    own = {"root": str(folder), "dataset": "Gestures", "val_size": None, "split": "stratified", "batch_size": 4}
    return DataConfig(name="ts", **own | settings)


def test_series_of_several_dimensions_and_lengths(folder):
    splits = load_splits(config(folder, normalize="none"))
    assert splits.class_names == ("wave", "still")
    assert (len(splits.train), len(splits.val), splits.num_features, splits.num_steps) == (16, 4, 2, 4)
    assert splits.train.sequences.shape[1] == 3
    assert splits.test.sequences.tolist() == [[[1, 3], [2, 4], [0, 0], [0, 0]], [[5, 9], [6, 10], [7, 11], [8, 12]]]
    assert splits.test.lengths.tolist() == [2, 4]
    assert splits.test.targets.tolist() == [1, 0]


def test_a_folder_of_the_sets_own_is_found_and_without_test_file_a_fifth_tests(folder):
    own = folder / "Gestures"
    own.mkdir()
    (folder / "Gestures_TRAIN.ts").rename(own / "Gestures_TRAIN.ts")
    (folder / "Gestures_TEST.ts").unlink()
    assert len(load_splits(config(folder)).test) == 4


def test_a_mark_of_the_order_of_bytes_is_no_part_of_the_text(folder):
    expected = load_splits(config(folder)).digest
    (folder / "Gestures_TRAIN.ts").write_text(TRAIN, encoding="utf-8-sig")
    assert load_splits(config(folder)).digest == expected


def test_labels_may_be_numbers_to_predict(folder):
    text = "@timestamps false\n@targetlabel true\n@data\n" + "".join(f"{n},{n}:{n / 2}\n" for n in range(10))
    (folder / "Numbers_TRAIN.ts").write_text(text)
    splits = load_splits(config(folder, dataset="Numbers"))
    assert (splits.num_classes, splits.num_outputs) == (0, 1)
    assert splits.train.targets[0] * 2 == splits.train.targets[0].round() * 2


def test_missing_numbers_are_refused_or_filled(folder):
    (folder / "Gestures_TRAIN.ts").write_text(TRAIN.replace("0,1,2:", "0,?,2:"))
    with pytest.raises(
        UserError, match=r"sequence 0, step 1, feature 0 is nan, .*; data.missing=zero\|mean\|last fill"
    ):
        load_splits(config(folder))
    part, _ = read_ts(folder / "Gestures_TRAIN.ts")
    assert np.isnan(part.values[0, 1, 0])
    filled = load_splits(config(folder, missing="last", normalize="none", val_size=0))
    assert filled.train.sequences[0, :, 0].tolist() == [0, 0, 2]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "there is no @data"),
        ("1,2,3:a\n", "line 1: '1,2,3:a' is neither a remark nor @name"),
        ("@timeStamps true\n@classLabel true a b\n@data\n(0,1),(1,2):a\n", "@timeStamps true; read are series without"),
        ("@classLabel false\n@data\n1,2\n", "neither @classLabel true nor @targetLabel true"),
        (HEADER, "there is no series after @data"),
        (HEADER + "1,2:3,4:wave\n1,2:3:wave\n", "line 7: dimensions of unequal length"),
        (HEADER + "1,2:3,4:wave\n1,2:wave\n", "line 7: 1 dimensions, 2 in the first series"),
        (HEADER + "1,2:3,x:wave\n", "line 6: could not convert string to float: 'x'"),
        (HEADER + "1,2:,:wave\n", "line 6: could not convert string to float: ''"),
        (HEADER + "wave\n", "line 6: need at least one array to stack"),
        (HEADER + "1,2:3,4:jump\n", "the class jump is none of those to train on, wave, still"),
        ("@targetLabel true\n@data\n1,2:many\n", "a label is no number"),
        (TRAIN.replace("wave still\n", "wave still wave\n"), "line 4: the class wave is named twice"),
    ],
)
def test_lines_that_do_not_follow_the_format_are_named(folder, text, words):
    (folder / "Gestures_TRAIN.ts").write_text(text)
    with pytest.raises(UserError) as caught:
        load_splits(config(folder))
    assert str(caught.value).startswith(str(folder / "Gestures_TRAIN.ts"))
    assert words in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_a_class_that_only_test_has_is_refused(folder):
    (folder / "Gestures_TRAIN.ts").write_text(TRAIN.replace(":still", ":wave"))
    with pytest.raises(UserError, match=r"Gestures_TEST.ts: the class still is in no training example of"):
        load_splits(config(folder))


@pytest.mark.parametrize("root", ["x" * 300, "a\0b", "/dev/null", "/absent"])
def test_where_no_folder_is_there_are_no_sets(folder, root):
    with pytest.raises(UserError, match=r"^data.dataset=Gestures: no Gestures_TRAIN.ts in "):
        load_splits(config(folder, root=root))


def test_sets_that_are_not_there_are_said_with_those_that_are(folder):
    with pytest.raises(UserError) as caught:
        load_splits(config(folder, dataset="Gesture"))
    assert str(caught.value) == (f"data.dataset=Gesture: no Gesture_TRAIN.ts in {folder}; there are Gestures")


def wheel(path):
    with zipfile.ZipFile(path, "w") as archive:
        for member in ("Own/Own_TRAIN.ts", "Own/Own_eq_TEST.ts", "UnitTest/UnitTest_TRAIN.ts", "Own/../x_TRAIN.ts"):
            archive.writestr(f"aeon/datasets/data/{member}", member)
        archive.writestr("aeon/datasets/data/Own/Own_TRAIN.arff", "")
    return path


def test_a_wheel_is_unpacked_set_by_set(tmp_path):
    folder = tmp_path / "datasets"
    assert unpack(wheel(tmp_path / "a.whl"), folder) == ["Own", "Own_eq"]
    found = sorted(str(path.relative_to(folder)) for path in folder.rglob("*.ts"))
    assert found == ["Own/Own_TRAIN.ts", "Own_eq/Own_eq_TEST.ts"]
    (tmp_path / "a.whl").write_text("no zip")
    with pytest.raises(UserError, match=r"a\.whl: damaged"):
        unpack(tmp_path / "a.whl", folder)


def test_the_command_says_what_is_there_and_where_its_terms_are(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(paths, "DATASETS", tmp_path / "datasets")
    monkeypatch.setattr(series, "download", lambda folder: wheel(folder / "a.whl"))
    series.main([])
    said = capsys.readouterr().out
    assert f"2 sets of aeon==1.6.0 are in {tmp_path}/datasets" in said
    assert "Dataset=Own\n" in said
    assert "not verified" in said
    with pytest.raises(UserError, match=r"data.dataset=Mine: no Mine_TRAIN.ts in .*; there are Own$"):
        load_splits(DataConfig(name="ts", dataset="Mine"))
