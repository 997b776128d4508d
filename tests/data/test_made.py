"""Tasks made on the spot: each example against a plain reading of what its source says."""

import re
from dataclasses import replace

import numpy as np
import pytest
import torch
import yaml

from recurrent_cells.config.validation import validated
from recurrent_cells.data.made import Made
from recurrent_cells.data.sources.modular_arithmetic import value
from recurrent_cells.data.splits import load_splits
from recurrent_cells.errors import UserError
from recurrent_cells.tables import SOURCES
from src import REPOSITORY
from tests.support import compose_config

MADE = sorted(name for name in SOURCES.names if issubclass(SOURCES[name], Made))


def made(name, *overrides):
    """The splits of a task in small."""
    return load_splits(validated(compose_config(f"data={name}", *overrides)).data)


def small(name, *overrides):
    return made(name, "data.examples=200", "data.val_size=50", "data.batch_size=10", *overrides)


@pytest.mark.parametrize("name", MADE)
def test_examples_are_drawn_by_the_split_seed_and_not_by_the_seed(name):
    first, again = small(name), small(name, "seed=7", "data.normalize=unit")
    assert (len(first.train), len(first.val), len(first.test)) == (150, 50, 2000)
    assert first.digest == again.digest
    assert torch.equal(first.train.sequences, again.train.sequences)
    assert small(name, "data.split_seed=1").digest != first.digest


@pytest.mark.parametrize("name", [*MADE, "mnist1d"])
def test_each_says_what_who_learnt_nothing_scores(name):
    ((metric, naive),) = SOURCES[name].naive.items()
    assert re.fullmatch("test/(acc|mse)", metric)
    targets = made(name).test.targets
    asked = targets[targets >= 0]
    if metric == "test/mse":
        found = float(((targets - 1) ** 2).mean())
    else:
        found = float(torch.bincount(asked).max() / len(asked))
    assert found == pytest.approx(naive, rel=0.1)
    header = (REPOSITORY / f"conf/data/{name}.yaml").read_text()
    assert f"1/{round(1 / naive)}" in header
    assert yaml.safe_load(header)["name"] == name


def test_adding_asks_for_the_sum_of_two_marked_numbers():
    splits = small("adding", "data.length=30")
    values, marks = splits.train.sequences.unbind(-1)
    assert values.shape == (150, 30)
    assert ((values >= 0) & (values <= 1)).all()
    assert (marks[:, :15].sum(dim=1) == 1).all()
    assert (marks[:, 15:].sum(dim=1) == 1).all()
    torch.testing.assert_close((values * marks).sum(dim=1), splits.train.targets)


def test_copy_memory_asks_for_the_first_symbols_at_the_last_steps():
    splits = small("copy_memory", "data.length=30")
    steps, targets = splits.train.sequences.argmax(dim=-1), splits.train.targets
    assert steps.shape == targets.shape == (150, 50)
    assert (steps[:, 10:39] == 8).all()
    assert (steps[:, 39] == 9).all()
    assert (targets[:, :-10] == -1).all()
    assert torch.equal(targets[:, -10:], steps[:, :10])


def test_selective_copy_asks_for_the_scattered_symbols_in_their_order():
    splits = small("selective_copy", "data.length=30")
    steps, targets = splits.train.sequences.argmax(dim=-1), splits.train.targets
    assert steps.shape == (150, 46)
    assert (steps[:, 30:] == 15).all()
    assert (targets[:, :30] == -1).all()
    for one, asked in zip(steps[:, :30], targets[:, 30:], strict=True):
        assert one[one < 14].tolist() == asked.tolist()


def test_fewer_symbols_can_be_copied():
    splits = small("selective_copy", "data.length=30", "data.symbols=3")
    steps, targets = splits.train.sequences.argmax(dim=-1), splits.train.targets
    assert steps.shape == (150, 33)
    assert ((steps[:, :30] < 14).sum(dim=1) == 3).all()
    assert (steps[:, 30:] == 15).all()
    assert ((targets >= 0).sum(dim=1) == 3).all()


def test_associative_recall_asks_for_the_value_of_each_key():
    splits = small("associative_recall", "data.length=5")
    keys, values = splits.train.sequences.split([5, 8], dim=-1)
    targets = splits.train.targets
    assert keys.shape == (150, 10, 5)
    assert (keys.sum(dim=-1) == 1).all()
    assert (values[:, :5].sum(dim=-1) == 1).all()
    assert (values[:, 5:] == 0).all()
    assert (targets[:, :5] == -1).all()
    assert (keys[:, :5] != keys[:, 5:]).any()
    for names, worth, answers in zip(keys.argmax(dim=-1), values.argmax(dim=-1), targets, strict=True):
        told = dict(zip(names[:5].tolist(), worth[:5].tolist(), strict=True))
        assert told.keys() == set(names[5:].tolist()) == set(range(5))
        assert answers[5:].tolist() == [told[name] for name in names[5:].tolist()]


def test_parity_counts_the_ones_of_the_valid_steps():
    splits = small("parity")
    for split, shortest, longest in ((splits.train, 3, 40), (splits.test, 40, 256)):
        ones = split.sequences[..., 1].sum(dim=1)
        assert torch.equal(ones.long() % 2, split.targets)
        assert torch.equal(split.sequences.sum(dim=(1, 2)).long(), split.lengths)
        assert shortest <= int(split.lengths.min())
        assert int(split.lengths.max()) <= longest


def test_parity_asks_after_every_step_in_training_and_after_the_last_in_the_test():
    last, every = small("parity", "data.length=12"), small("parity", "data.length=12", "data.target_steps=every")
    assert torch.equal(every.train.sequences, last.train.sequences)
    assert int(every.train.lengths.max()) <= 12
    train = every.train
    for bits, length, targets in zip(train.sequences[..., 1], train.lengths, train.targets, strict=True):
        assert targets[:length].tolist() == [int(bits[: step + 1].sum()) % 2 for step in range(length)]
        assert (targets[length:] == -1).all()
    assert ((every.test.targets >= 0).sum(dim=1) == 1).all()
    ends = every.test.targets.gather(1, every.test.lengths[:, None] - 1)[:, 0]
    assert torch.equal(ends, last.test.targets)


def test_modular_arithmetic_is_pythons():
    splits = small("modular_arithmetic")
    for split in (splits.train, splits.test):
        for sequence, length, target in zip(split.sequences[:100], split.lengths, split.targets, strict=False):
            text = "".join("01234+-*"[symbol] for symbol in sequence[:length].argmax(dim=-1))
            assert re.fullmatch(r"\d([-+*]\d)+", text)
            assert eval(text) % 5 == target
    assert value(np.array([[2, 7, 3, 5, 4]]), np.array([3])).tolist() == [1]


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["data=selective_copy", "data.length=15"], "data.length=15: data=selective_copy needs at least the 16 "),
        (["data=parity", "data.length=2"], "data.length=2: data=parity needs at least 3"),
        (["data=adding", "data.target_steps=every"], "data.target_steps=every: data=adding does not read it; leave it"),
        (["data=mnist1d", "data.examples=50"], "data.examples=50: data=mnist1d does not read it; leave it out"),
        (["data=adding", "data.length=1"], "data.length=1: allowed is an integer from 2 to 1000000, or null"),
        (["data=adding", "data.examples=9000000000"], "data=adding data.examples=9000000000 data.length=100: needs "),
        (
            ["data=associative_recall", "data.length=9000"],
            "data=associative_recall data.examples=20000 data.length=9000: ",
        ),
        (["data=adding", "data.root=/x"], "data.root=/x: data=adding reads no folder; "),
    ],
)
def test_what_a_task_cannot_be_made_of_is_refused(overrides, words):
    with pytest.raises(UserError) as caught:
        load_splits(validated(compose_config(*overrides)).data)
    assert str(caught.value).startswith(words)
    assert len(str(caught.value).splitlines()) == 1


def test_mnist1d_is_as_its_package_draws_it():
    package = pytest.importorskip("mnist1d.data")
    expected = package.make_dataset()
    config = validated(compose_config("data=mnist1d")).data
    splits = load_splits(replace(config, val_size=0, validate_on="test", normalize="none"))
    for split, of in ((splits.train, ""), (splits.test, "_test")):
        np.testing.assert_allclose(split.sequences[..., 0].numpy(), expected[f"x{of}" if of else "x"], atol=1e-5)
        assert split.targets.tolist() == expected[f"y{of}"].tolist()


def test_mnist1d_has_five_hundred_of_each_digit():
    splits = made("mnist1d")
    assert [len(split) for split in (splits.train, splits.val, splits.test)] == [3200, 800, 1000]
    labels = torch.cat([split.targets for split in (splits.train, splits.val, splits.test)])
    assert torch.bincount(labels).tolist() == [500] * 10
