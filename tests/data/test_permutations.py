"""Named orders of pixels."""

import hashlib

import numpy as np
import pytest
import torch

from recurrent_cells.config.schema import DataConfig
from recurrent_cells.data.examples import load_examples
from recurrent_cells.data.permutations import permutation
from recurrent_cells.data.splits import load_splits
from recurrent_cells.errors import UserError

# Of the orders of 784 pixels in the literature; a library that drew others would train something else under the name.
DIGESTS = {
    "bit_reversal": "30d91dc29f161321",
    "torch_12008": "f4113bc8ae789021",
    "torch_5544": "88c77bc3e243c77b",
    "numpy_92916": "96240fe27409981c",
    "numpy_0": "fe62e3fef305ce16",
}


@pytest.mark.parametrize("name", DIGESTS)
def test_the_orders_of_the_literature_are_known_again(name):
    order = permutation(name, 784)
    assert sorted(order) == list(range(784))
    assert hashlib.sha256(order.tobytes()).hexdigest()[:16] == DIGESTS[name]


def test_they_are_drawn_as_their_papers_drew_them():
    with torch.random.fork_rng():
        torch.manual_seed(12008)
        assert permutation("torch_12008", 784).tolist() == torch.randperm(784).tolist()
    assert permutation("numpy_92916", 784).tolist() == np.random.RandomState(92916).permutation(784).tolist()
    assert permutation("bit_reversal", 8).tolist() == [0, 4, 2, 6, 1, 5, 3, 7]
    assert permutation("bit_reversal", 6).tolist() == [0, 4, 2, 1, 5, 3]
    assert permutation("none", 784) is None


@pytest.mark.parametrize("name", ["mine.npy", "mine.txt"])
def test_a_file_may_have_the_order(tmp_path, name):
    path, order = tmp_path / name, np.random.RandomState(1).permutation(30)
    np.save(path, order) if path.suffix == ".npy" else np.savetxt(path, order, fmt="%d")
    assert permutation(str(path), 30).tolist() == order.tolist()
    np.save(tmp_path / "floats.npy", order.astype(float))
    assert permutation(str(tmp_path / "floats.npy"), 30).tolist() == order.tolist()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (np.arange(29), "29 numbers, not 0 to 29 (the pixels of an image), each once"),
        (np.zeros(30, int), "30 numbers, not 0 to 29"),
        (np.arange(30).reshape(5, 6), "5 x 6 numbers, not 0 to 29"),
        (np.arange(30) + 0.5, "30 numbers, not"),
        (np.zeros(30, [("row", int), ("column", int)]), "30 numbers, not"),
    ],
)
def test_what_is_no_permutation_of_the_pixels_is_refused(tmp_path, content, words):
    path = tmp_path / "mine.npy"
    np.save(path, content)
    with pytest.raises(UserError) as caught:
        permutation(str(path), 30)
    assert str(caught.value).startswith(f"data.permutation={path}: {words}")


def test_a_file_that_is_not_there_or_no_numbers_is_named(tmp_path):
    with pytest.raises(UserError, match=r"^data.permutation=spiral: no such file; allowed is none, bit_reversal"):
        permutation("spiral", 30)
    path = tmp_path / "mine.txt"
    for content in ("one two", "", "1.5", "9" * 30):
        path.write_text(content)
        with pytest.raises(UserError, match=rf"^data.permutation={path}: "):
            permutation(str(path), 30)


def idx(folder, permutation="none"):
    own = {"name": "idx", "root": str(folder), "val_size": 10, "batch_size": 8, "sequence": "pixels"}
    return DataConfig(**own, permutation=permutation)


def test_images_are_read_in_the_order_and_its_digest_is_in_that_of_the_data(idx_folder, tmp_path):
    plain = load_splits(idx(idx_folder))
    assert (plain.num_steps, plain.num_features) == (30, 1)
    digests = {plain.digest}
    for name in ("bit_reversal", "torch_12008", "numpy_0"):
        permuted = load_splits(idx(idx_folder, name))
        assert torch.equal(permuted.train.sequences, plain.train.sequences[:, permutation(name, 30)])
        digests.add(permuted.digest)
    assert len(digests) == 4
    path = tmp_path / "order.npy"
    for order in (np.arange(30), np.arange(30)[::-1]):
        np.save(path, order)
        digests.add(load_examples(idx(idx_folder, str(path))).digest)
    assert len(digests) == 6
