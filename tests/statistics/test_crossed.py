"""Intervals for other seeds and other test examples."""

import numpy as np
import pytest
from scipy.special import ndtri

from recurrent_cells.statistics.comparisons import compare
from recurrent_cells.statistics.crossed import on_other_examples


def outcomes(random, cells=2, seeds=3, examples=500, own=0.4, seed_sd=0.03):
    """Right or wrong of cells that are equally good at all examples there are, if not at those drawn."""
    hard = random.normal(size=examples) * 0.7
    suits = random.normal(size=(cells, 1, examples)) * own
    luck = random.normal(size=(cells, seeds, examples)) * 0.5
    skill = random.normal(size=(cells, seeds, 1)) * seed_sd
    scale = np.sqrt(0.7**2 + own**2 + 0.5**2 + seed_sd**2)
    return (hard + suits + luck + skill + ndtri(0.95) * scale > 0).astype(float)


def compared(right):
    """Pairs with intervals for other seeds, and with those for other examples too."""
    pairs = compare({name: list(found.mean(axis=1)) for name, found in right.items()})
    return pairs, on_other_examples(pairs, right)


def test_other_examples_make_an_interval_wider():
    right = dict(zip("abc", outcomes(np.random.default_rng(0), cells=3), strict=True))
    for one, other in zip(*compared(right), strict=True):
        assert (one.better, one.worse) == (other.better, other.worse)
        assert one.difference == pytest.approx(other.difference)
        assert other.half > one.half


def test_equal_cells_are_rarely_told_apart_on_few_examples():
    random = np.random.default_rng(1)
    by_seeds = by_both = 0
    for _ in range(400):
        right = dict(zip("ab", outcomes(random, seeds=12, examples=300), strict=True))
        (seeds,), (both,) = compared(right)
        by_seeds += seeds.is_separated
        by_both += both.is_separated
    assert by_both / 400 < 0.05 + 2 * 0.011
    assert by_seeds / 400 > 0.15  # what other seeds would change is not all


def test_with_many_examples_the_seeds_decide():
    right = dict(zip("ab", outcomes(np.random.default_rng(2), examples=100_000, seed_sd=0.3), strict=True))
    (seeds,), (both,) = compared(right)
    assert both.half == pytest.approx(seeds.half, rel=0.05)


def test_without_any_spread_nothing_is_concluded():
    _, (found,) = compared({"a": np.ones((3, 10)), "b": np.zeros((3, 10))})
    assert not found.is_separated
    assert found.difference == 1
    assert compared({"a": np.ones((1, 10)), "b": np.zeros((3, 10))})[1] == []


def test_the_same_answers_of_every_seed_leave_the_examples():
    first, second = np.ones((3, 200)), np.ones((3, 200))
    second[:, :20] = 0
    _, (found,) = compared({"a": first, "b": second})
    assert found.is_separated
    assert found.half == pytest.approx(1.97 * np.sqrt(0.1 * 0.9 / 199), rel=0.01)


def test_it_is_never_narrower_than_what_other_seeds_leave_open_at_an_early_look():
    right = dict(zip("ab", outcomes(np.random.default_rng(3), seeds=3), strict=True))
    early = compare({name: list(found.mean(axis=1)) for name, found in right.items()}, alpha=0.01)
    (wider,) = on_other_examples(early, right)
    assert wider.half > early[0].half
