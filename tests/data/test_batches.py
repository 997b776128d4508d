"""Batches as a function of the step."""

import pytest
import torch

from recurrent_cells.data.batches import Batches
from recurrent_cells.data.splits import Split

SPLIT = Split(torch.arange(10.0).view(10, 1, 1), torch.arange(10))


def labels(batches, start, stop):
    sequences, answers = batches(start, stop)
    assert torch.equal(sequences.flatten(), answers.float())
    return answers.tolist()


def test_an_epoch_has_every_image_at_most_once_and_the_next_another_order():
    batches = Batches(SPLIT, 3, "shuffled", seed=0)
    first, second = labels(batches, 0, 3), labels(batches, 3, 6)
    assert batches.steps_per_epoch == 3
    assert len(set(first)) == len(set(second)) == 9
    assert first != second


def test_a_batch_depends_on_seed_and_step_alone():
    straight = [labels(Batches(SPLIT, 3, "shuffled", seed=0), step, step + 1) for step in range(8)]
    batches = Batches(SPLIT, 3, "shuffled", seed=0)
    assert [labels(batches, step, step + 1) for step in reversed(range(8))] == straight[::-1]
    assert labels(batches, 0, 8) == [label for batch in straight for label in batch]
    assert labels(Batches(SPLIT, 3, "shuffled", seed=1), 0, 8) != labels(batches, 0, 8)


@pytest.mark.parametrize("seed", [0, 1])
def test_file_order_goes_round_whatever_the_seed(seed):
    assert labels(Batches(SPLIT, 4, "file", seed), 0, 3) == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1]


def test_batches_by_length_have_all_sequences_of_an_epoch_each_beside_others_of_its_length():
    lengths = torch.randint(1, 100, (256,), generator=torch.Generator().manual_seed(0))
    split = Split(torch.zeros(256, 99, 1), torch.arange(256), lengths)
    batches = Batches(split, 8, "by_length", seed=0)
    epoch = batches.indices(0, 32)
    assert sorted(epoch.flatten().tolist()) == list(range(256))
    assert (lengths[epoch].amax(dim=1) - lengths[epoch].amin(dim=1)).max() < 20
    assert batches.widths(epoch) == lengths[epoch].amax(dim=1).tolist()
    assert torch.equal(Batches(split, 8, "by_length", seed=0).indices(31, 33), batches.indices(31, 33))
