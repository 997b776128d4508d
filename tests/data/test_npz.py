"""A user's own arrays: `data=npz`."""

import numpy as np
import pytest
import torch

from recurrent_cells.config.schema import DataConfig
from recurrent_cells.data.examples import load_examples
from recurrent_cells.data.splits import load_splits
from recurrent_cells.errors import UserError

RANDOM = np.random.RandomState(0)
VALUES = RANDOM.normal([3, -100], [2, 50], (40, 7, 2))
LENGTHS = RANDOM.randint(2, 8, 40)
LENGTHS[:2] = 7
CLASSES = np.arange(40) % 3
VALID = np.arange(7) < LENGTHS[:, None]


@pytest.fixture
def written(tmp_path):
    """`written(train_x=…)` is the config of a file with these arrays, those left out being good ones."""

    def config(settings=None, **arrays):
        arrays = {"train_x": VALUES, "train_y": CLASSES} | arrays
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.npz"
        np.savez(path, **{name: array for name, array in arrays.items() if array is not None})
        own = {"val_size": None, "split": "stratified", "batch_size": 4}
        return DataConfig(name="npz", root=str(path), **own | (settings or {}))

    return config


def test_without_test_arrays_a_fifth_tests_and_a_fifth_of_the_others_validates(written):
    splits = load_splits(written())
    assert [len(split) for split in (splits.train, splits.val, splits.test)] == [26, 6, 8]
    assert (splits.num_classes, splits.num_steps, splits.num_features) == (3, 7, 2)
    assert splits.train.lengths is None
    assert not splits.is_image
    for split in (splits.train, splits.val, splits.test):
        counts = torch.bincount(split.targets, minlength=3)
        assert int(counts.max() - counts.min()) <= 1


def test_test_arrays_test_and_may_be_longer(written):
    test = {"test_x": np.zeros((5, 9, 2)), "test_y": CLASSES[:5], "test_lengths": np.array([9, 1, 2, 3, 4])}
    splits = load_splits(written(train_lengths=LENGTHS, **test))
    assert (len(splits.train), len(splits.val), len(splits.test)) == (32, 8, 5)
    assert splits.test.lengths.tolist() == [9, 1, 2, 3, 4]
    assert (splits.train.sequences.shape[1], splits.test.sequences.shape[1], splits.num_steps) == (7, 9, 9)


def test_features_are_scaled_by_the_valid_training_steps_alone(written):
    splits = load_splits(written(train_lengths=LENGTHS))
    train = splits.train
    valid = torch.arange(train.sequences.shape[1]) < train.lengths[:, None]
    steps = train.sequences[valid].double()
    assert steps.mean(dim=0).tolist() == pytest.approx([0, 0], abs=1e-6)
    assert steps.std(dim=0, correction=0).tolist() == pytest.approx([1, 1], abs=1e-5)
    assert (train.sequences[~valid] == 0).all()
    assert splits.offset.tolist() == pytest.approx([3, -100], rel=0.2)
    assert splits.scale.tolist() == pytest.approx([2, 50], rel=0.2)
    assert (
        not splits.val.sequences[splits.val.lengths[:, None] > torch.arange(7)].double().mean(dim=0).abs().max() < 1e-6
    )


@pytest.mark.parametrize("filling", [np.nan, np.inf, 1e30, -1e300, 7.0])
def test_what_stands_in_the_padding_changes_no_bit(written, filling):
    expected = load_splits(written(train_x=np.where(VALID[..., None], VALUES, 0), train_lengths=LENGTHS))
    found = load_splits(written(train_x=np.where(VALID[..., None], VALUES, filling), train_lengths=LENGTHS))
    wide = np.full((40, 20, 2), filling)
    wide[:, :7] = np.where(VALID[..., None], VALUES, filling)
    wider = load_splits(written(train_x=wide, train_lengths=LENGTHS))
    for one in (found, wider):
        assert one.digest == expected.digest
        assert torch.equal(one.offset, expected.offset)
        for name in ("train", "val", "test"):
            assert torch.equal(getattr(one, name).sequences, getattr(expected, name).sequences)
            assert torch.equal(getattr(one, name).lengths, getattr(expected, name).lengths)


def test_a_feature_that_never_changes_stays_finite(written):
    values = VALUES.copy()
    values[..., 0] = 1e6
    assert load_splits(written(train_x=values)).train.sequences[..., 0].abs().max() == 0


def test_tiny_numbers_are_scaled_too(written):
    made = load_splits(written(train_x=VALUES * 1e-12))
    assert float(made.train.sequences.std(correction=0)) == pytest.approx(1, abs=1e-3)


def test_classes_may_have_names(written):
    names = np.array(["10", "9", "-1"])[CLASSES]
    splits = load_splits(written(train_y=names))
    assert splits.class_names == ("-1", "9", "10")
    assert splits.num_classes == 3
    words = load_splits(written(train_y=np.array(["walk", "run", "rest"])[CLASSES]))
    assert words.class_names == ("rest", "run", "walk")


def test_classes_may_have_names_of_bytes_that_are_utf_8(written):
    names = np.array(["läuft".encode(), b"rest"])
    assert load_splits(written(train_y=names[CLASSES % 2])).class_names == ("läuft", "rest")
    with pytest.raises(UserError, match=r"names of classes are bytes that are not UTF-8$"):
        load_splits(written(train_y=np.array([b"l\xe4uft", b"rest"])[CLASSES % 2]))


def test_true_and_false_are_classes(written):
    assert load_splits(written(train_y=CLASSES == 0)).num_classes == 2


def test_classes_of_each_step_are_asked_where_there_is_one(written):
    targets = np.arange(280).reshape(40, 7) % 4
    targets[:, 0] = -1
    splits = load_splits(written(train_y=targets, train_lengths=LENGTHS))
    assert (splits.num_classes, splits.train.targets.dtype) == (4, torch.int64)
    asked = splits.train.targets >= 0
    assert not asked[:, 0].any()
    assert torch.equal(asked[:, 1:], (torch.arange(7) < splits.train.lengths[:, None])[:, 1:])


@pytest.mark.parametrize(("targets", "outputs"), [(VALUES[:, 0, 0], 1), (VALUES[:, 0], 2)])
def test_numbers_are_predicted_as_they_are(written, targets, outputs):
    splits = load_splits(written(train_y=targets))
    assert (splits.num_classes, splits.num_outputs) == (0, outputs)
    assert splits.train.targets.dtype == torch.float32


def test_a_group_is_kept_whole(written):
    groups = np.arange(40) // 5
    values = np.repeat(groups[:, None, None], 7, axis=1).astype(float)
    splits = load_splits(written({"normalize": "none"}, train_x=values, groups=groups))
    kinds = [set(split.sequences[:, 0, 0].tolist()) for split in (splits.train, splits.val, splits.test)]
    assert sum(map(len, kinds)) == len(set.union(*kinds)) == 8


def test_missing_numbers_are_refused_or_filled(written):
    values = VALUES.copy()
    values[3, 2, 1] = np.nan
    with pytest.raises(UserError, match=r"train_y: sequence 3, step 2, feature 1 is nan, .*missing=zero\|mean\|l"):
        load_splits(written(train_x=values))
    assert load_splits(written({"missing": "mean"}, train_x=values)).train.sequences.isfinite().all()


def test_what_is_not_known_is_said(written, caplog):
    load_examples(written(train_length=LENGTHS))
    assert "train_length not read; known are train_x" in caplog.text


def test_classes_of_two_types_of_integers_are_alike(written):
    splits = load_splits(written(train_y=CLASSES.astype(np.uint8), test_x=VALUES, test_y=CLASSES))
    assert splits.test.targets.tolist() == CLASSES.tolist()


def test_bytes_are_images(written):
    splits = load_splits(written(train_x=RANDOM.randint(0, 256, (40, 5, 5)).astype(np.uint8)))
    assert splits.is_image


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"train_x": None}, "no train_x among train_y"),
        ({"test_x": VALUES}, "test_x and test_y belong together"),
        ({"train_x": VALUES[0]}, "train_x and train_y: values (7, 2) and targets (40,); allowed are"),
        ({"train_x": VALUES[..., 0]}, "train_x and train_y: values (40, 7) and targets (40,); allowed are"),
        ({"train_x": VALUES[:, :0]}, "train_x and train_y: values (40, 0, 2)"),
        ({"train_y": CLASSES[1:]}, "train_x and train_y: values (40, 7, 2) and targets (39,)"),
        (
            {"train_y": np.zeros((40, 3), int)},
            "values (40, 7, 2) and targets (40, 3); classes are (N,), or (N, T) of",
        ),
        ({"train_y": np.full((40, 7), -1)}, "train_x and train_y: sequence 0: no step has a class"),
        ({"train_y": np.where(np.arange(40)[:, None] == 3, -1, np.ones((40, 7), int))}, "sequence 3: no step has a c"),
        ({"train_lengths": LENGTHS + 1}, "train_x and train_y: a length is 8; allowed is 1 to 7, the steps"),
        ({"train_lengths": LENGTHS * 0}, "train_x and train_y: a length is 0; allowed is 1 to 7"),
        ({"train_lengths": LENGTHS[1:]}, "train_x and train_y: lengths (39,) of type int64; allowed are 40 integers"),
        ({"train_lengths": LENGTHS / 2}, "train_x and train_y: lengths (40,) of type float64"),
        ({"train_x": np.where(VALUES > 5, np.inf, VALUES)}, "train_x and train_y: sequence "),
        ({"train_y": np.full(40, np.nan)}, "train_x and train_y: there are targets th"),
        ({"train_x": VALUES.astype(str)}, "train_x and train_y: values: <U32 is no type of numbers"),
        ({"train_y": CLASSES.astype(complex)}, "train_x and train_y: targets: complex128 is no type of numbers"),
        ({"train_y": CLASSES - 1}, "train_x and train_y: the label -1 is below 0"),
        ({"train_y": CLASSES * 0}, "all targets to train on are 0"),
        ({"train_x": np.array([np.zeros(2), np.zeros(3)], dtype=object)}, "train_x holds Python objects"),
        ({"groups": CLASSES[1:]}, "groups (39,) and train_y (40,); each example has one group"),
        ({"test_x": VALUES[..., :1], "test_y": CLASSES}, "test_x and test_y: other types or sizes than in"),
        ({"test_x": VALUES, "test_y": CLASSES + 1}, "test_x and test_y: the class 3 is in no training example"),
        (
            {"train_y": CLASSES * 2, "test_x": VALUES, "test_y": CLASSES},
            "test_x and test_y: the class 1 is in no tr",
        ),
        (
            {"train_y": CLASSES.astype(str), "test_x": VALUES, "test_y": (CLASSES + 1).astype(str)},
            "test_x and test_y: the class 3 is none of those to train on, 0, 1, 2",
        ),
    ],
)
def test_arrays_that_will_not_do_are_refused_in_a_line(written, arrays, words):
    with pytest.raises(UserError) as caught:
        load_splits(written(**arrays))
    assert words in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(("content", "words"), [(None, "does not exist"), (b"", "the file is empty")])
def test_a_file_that_is_not_there_or_empty_is_named(tmp_path, content, words):
    path = tmp_path / "mine.npz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=rf"^data.root={path}: {words}; give FILE.npz$"):
        load_splits(DataConfig(name="npz", root=str(path)))
