"""Which images train, validate and test."""

import numpy as np
import pytest
import torch

from recurrent_cells.config.schema import DataConfig
from recurrent_cells.data.splits import load_splits, split_indices
from recurrent_cells.errors import UserError
from tests.support import write_data_set


def parts(size=100, test_files=True, **settings: object):
    return split_indices(size, DataConfig(**{"val_size": 20, **settings}), has_test_files=test_files)


@pytest.mark.parametrize("split", ["random", "tail"])
@pytest.mark.parametrize("test_files", [True, False])
def test_parts_are_disjoint_sorted_and_of_the_sizes_asked_for(split, test_files):
    settings = {} if test_files else {"test_size": 15}
    train, val, test = parts(test_files=test_files, split=split, **settings)
    assert (len(train), len(val), len(test)) == (80, 20, 0) if test_files else (65, 20, 15)
    together = np.concatenate([train, val, test])
    assert sorted(together) == list(range(100))
    for part in (train, val, test):
        assert np.array_equal(part, np.sort(part))


def test_a_random_split_is_drawn_by_its_own_seed():
    assert all(np.array_equal(one, other) for one, other in zip(parts(), parts(), strict=True))
    assert not np.array_equal(parts()[1], parts(split_seed=1)[1])


def test_tail_validates_on_the_last_images():
    train, val, _ = parts(split="tail")
    assert (train[-1], list(val)) == (79, list(range(80, 100)))


def test_a_smaller_training_set_leaves_validation_as_it_is():
    assert np.array_equal(parts(train_size=10)[1], parts()[1])
    assert len(parts(train_size=10)[0]) == 10


@pytest.mark.parametrize(
    ("settings", "start"),
    [
        ({"val_size": 100}, "data.train_size=null data.val_size=100: together more than the 100 images"),
        ({"val_size": 1000}, "data.train_size=null data.val_size=1000: "),
        ({"train_size": 81}, "data.train_size=81 data.val_size=20: "),
        ({"test_size": 5}, "data.test_size=5: data=mnist_5k has test files"),
        ({"test_files": False}, "data.test_size=null: data=mnist_5k has no test files"),
        ({"test_files": False, "test_size": 90}, "data.train_size=null data.val_size=20 data.test_size=90: "),
    ],
)
def test_parts_larger_than_the_data_are_refused(settings, start):
    with pytest.raises(UserError) as caught:
        parts(**settings)
    assert str(caught.value).startswith(start)
    assert len(str(caught.value).splitlines()) == 1


def idx(folder, **settings: object):
    return DataConfig(**{"name": "idx", "root": str(folder), "val_size": 10, "batch_size": 8, **settings})


def test_splits_hold_sequences_labels_and_the_shape_of_the_data(idx_folder):
    splits = load_splits(idx(idx_folder))
    assert (len(splits.train), len(splits.val), len(splits.test)) == (50, 10, 20)
    assert (splits.num_steps, splits.num_features, splits.num_classes) == (6, 5, 4)
    assert splits.train.sequences.dtype == torch.float32
    assert splits.train.targets.dtype == torch.int64


def test_columns_turn_height_and_width_round(idx_folder):
    splits = load_splits(idx(idx_folder, sequence="columns"))
    assert (splits.num_steps, splits.num_features) == (5, 6)


def test_validating_on_the_test_images_takes_all_of_them(idx_folder):
    splits = load_splits(idx(idx_folder, validate_on="test", val_size=0))
    assert len(splits.train) == 60
    assert torch.equal(splits.val.sequences, splits.test.sequences)


def test_standard_scales_by_the_training_images_alone(idx_folder):
    splits = load_splits(idx(idx_folder, normalize="standard"))
    assert float(splits.train.sequences.mean()) == pytest.approx(0, abs=1e-5)
    assert float(splits.train.sequences.std(correction=0)) == pytest.approx(1, abs=1e-5)
    assert float(splits.val.sequences.mean()) != pytest.approx(0, abs=1e-5)


def test_a_batch_larger_than_the_training_set_is_refused(idx_folder):
    assert len(load_splits(idx(idx_folder, batch_size=50)).train) == 50
    with pytest.raises(UserError, match=r"^data.batch_size=51: .*allowed is 1 to 50$"):
        load_splits(idx(idx_folder, batch_size=51))


def test_classes_without_an_example_are_said(tmp_path, caplog):
    folder = write_data_set(tmp_path / "data")
    load_splits(DataConfig(name="idx", root=str(folder), num_classes=9, val_size=10, batch_size=8))
    assert "5 of 9 classes have no example to train on" in caplog.text
