"""Dropout masks by seeds and places."""

import pytest
import torch

from recurrent_cells.models.masks import HashedDropout, dropped_at, random_bits

COUNT = 100_000
SEEDS = torch.tensor([0, 1, 2, 2**62, 123456789])
CPU = torch.device("cpu")


@pytest.mark.parametrize("probability", [0.0, 0.1, 0.5, 0.9])
def test_elements_are_dropped_with_their_probability(probability):
    dropped = random_bits(SEEDS, COUNT) < dropped_at([probability] * len(SEEDS), CPU)
    deviation = (probability * (1 - probability) / COUNT) ** 0.5
    assert (dropped.double().mean(dim=1) - probability).abs().max() <= 5 * deviation


def test_bits_of_neighbouring_seeds_and_places_are_independent():
    bits = random_bits(SEEDS, COUNT)
    for bit in (0, 1, 31, 62):
        signs = 2.0 * ((bits >> bit) & 1).double() - 1
        same_place = (signs @ signs.T / COUNT).fill_diagonal_(0)
        next_place = (signs[:, 1:] * signs[:, :-1]).mean(dim=1)
        assert max(same_place.abs().max(), next_place.abs().max()) < 5 / COUNT**0.5


def test_masks_are_a_function_of_seed_and_place_alone():
    x = torch.ones(3, 4, 6, 5, dtype=torch.float64)

    def drop(seeds: list[int], place: int, rates: list[float]) -> torch.Tensor:
        return HashedDropout(rates, torch.tensor(seeds), place)(x[: len(seeds)])

    together = drop([5, 6, 7], 1, [0.5, 0.3, 0.0])
    assert torch.equal(drop([6], 1, [0.3])[0], together[1])
    assert torch.equal(drop([6], 1, [0.3])[0], HashedDropout([0.3], torch.tensor([6]), 1)(x[0]))
    assert torch.equal(together[2], x[2])
    assert not torch.equal(drop([5], 1, [0.3]), drop([6], 1, [0.3]))
    assert not torch.equal(drop([6], 2, [0.3]), drop([6], 1, [0.3]))
    assert set(together[0].unique().tolist()) == {0.0, 2.0}
