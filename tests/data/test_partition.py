"""Which examples train, validate and test."""

import numpy as np
import pytest

from recurrent_cells.config.schema import DataConfig
from recurrent_cells.data.examples import Examples
from recurrent_cells.data.partition import split_indices
from recurrent_cells.data.sources import Part
from recurrent_cells.errors import UserError


def source(size=100, test_files=True, classes=None, groups=None):
    targets = np.zeros(size, dtype=int) if classes is None else classes
    train = Part(np.zeros((size, 1, 1)), targets, "train", groups=groups)
    return Examples(train, train if test_files else None, len(np.unique(targets)), "digest")


def parts(size=100, test_files=True, classes=None, groups=None, **settings: object):
    data = DataConfig(**{"val_size": 20, **settings})  # type: ignore[arg-type]
    return split_indices(source(size, test_files, classes, groups), data)


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
        ({"val_size": 100}, "data.train_size=null data.val_size=100: together more than the 100 examples"),
        ({"val_size": 1000}, "data.train_size=null data.val_size=1000: "),
        ({"train_size": 81}, "data.train_size=81 data.val_size=20: "),
        ({"test_size": 5}, "data.test_size=5: data=mnist_5k has test files"),
        ({"test_files": False, "test_size": 90}, "data.train_size=null data.val_size=20 data.test_size=90: "),
    ],
)
def test_parts_larger_than_the_data_are_refused(settings, start):
    with pytest.raises(UserError) as caught:
        parts(**settings)
    assert str(caught.value).startswith(start)
    assert len(str(caught.value).splitlines()) == 1


def test_splits_of_earlier_versions_are_drawn_again():
    train, val, test = parts(test_files=False, test_size=3, val_size=4, split_seed=5)
    drawn = np.random.RandomState(5).permutation(100)
    assert [set(part) for part in (test, train, val)] == [set(drawn[:3]), set(drawn[3:-4]), set(drawn[-4:])]
    train, val, test = parts(test_files=False, test_size=3, val_size=4, train_size=9, split="tail")
    rest = sorted(set(range(100)) - set(test))
    assert (list(train), list(val)) == (rest[:9], rest[-4:])


def test_by_default_a_fifth_tests_and_a_fifth_of_the_others_validates():
    assert [len(part) for part in parts(test_files=False, val_size=None)] == [64, 16, 20]
    assert [len(part) for part in parts(val_size=None)] == [80, 20, 0]
    assert [len(part) for part in parts(3, test_files=False, val_size=None)] == [1, 1, 1]


@pytest.mark.parametrize("train_size", [None, 30])
def test_a_stratified_split_gives_each_part_each_class_in_proportion(train_size):
    classes = np.repeat([0, 1, 2], [60, 30, 10])
    found = parts(classes=classes, split="stratified", test_files=False, test_size=20, train_size=train_size)
    assert sorted(np.concatenate(found)) == sorted(set(np.concatenate(found)))
    for part in found:
        assert np.bincount(classes[part]) == pytest.approx(len(part) * np.array([0.6, 0.3, 0.1]), abs=1)
    other = parts(classes=classes, split="stratified", test_files=False, test_size=20, split_seed=1)
    assert not np.array_equal(found[2], other[2])


@pytest.mark.parametrize("split", ["random", "tail", "stratified"])
def test_a_group_is_in_one_part(split):
    groups = np.random.RandomState(0).permutation(np.arange(100) % 12).astype(str)
    found = parts(groups=groups, split=split, test_files=False, test_size=20)
    assert sorted(np.concatenate(found)) == list(range(100))
    kinds = [set(groups[part]) for part in found]
    assert sum(map(len, kinds)) == 12
    assert 20 <= len(found[1]) < 30
    assert 20 <= len(found[2]) < 30


def test_groups_that_leave_nothing_to_train_on_are_refused():
    with pytest.raises(UserError, match=r"^data.train_size=null data.val_size=20: groups, kept whole, leave 0 exam"):
        parts(groups=np.zeros(100))
