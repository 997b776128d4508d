"""Sequences that are ready to train on."""

import pytest
import torch

from recurrent_cells.config.schema import DataConfig
from recurrent_cells.data.splits import load_splits
from recurrent_cells.errors import UserError
from tests.support import write_data_set


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
