"""Deciding pairs while seeds are added."""

import math

import numpy as np
import pytest

from recurrent_cells.statistics.comparisons import ALPHA, compare
from recurrent_cells.statistics.looks import Kind, decide, planned_looks, spent, stand


def drawn(mean, count, sd=1.0, seed=0):
    return [float(value) for value in np.random.default_rng(seed).normal(mean, sd, size=count)]


def kinds(found):
    return {
        frozenset((pair.comparison.better, pair.comparison.worse)): (str(pair.kind), pair.seeds) for pair in found.pairs
    }


def test_looks_are_those_planned():
    assert planned_looks(3, 30) == (3, 5, 8, 12, 18, 30)
    assert planned_looks(4, 20) == (4, 5, 8, 12, 18)
    assert planned_looks(3, 100) == (3, 5, 8, 12, 18, 30, 45, 68)
    assert planned_looks(40, 50) == (40, 45)
    assert planned_looks(5, 4) == ()


def test_what_is_spent_rises_and_never_exceeds_5_per_cent():
    amounts = [spent(n) for n in range(2, 2000)]
    assert amounts == sorted(amounts)
    assert amounts[0] > 0
    assert amounts[-1] < ALPHA


def test_seeds_go_where_a_pair_is_open():
    values = {"far": drawn(50, 3), "a": drawn(0, 3, seed=1), "b": drawn(0, 3, seed=2)}
    found = decide(values, margin=0.1, first=3, most=30)
    assert kinds(found) == {
        frozenset(("far", "a")): ("better", 3),
        frozenset(("far", "b")): ("better", 3),
        frozenset(("a", "b")): ("open", 3),
    }
    assert (found.wanted, found.next_look, found.looks) == (("a", "b"), 5, (3,))
    assert {pair.comparison.better for pair in found.pairs if pair.kind is Kind.BETTER} == {"far"}


def test_a_decision_stands_whatever_comes_later():
    early = decide({"a": drawn(50, 3), "b": drawn(0, 3, seed=1)}, margin=0.1, first=3, most=30)
    assert early.next_look is None
    assert early.wanted == ()
    later = decide({"a": drawn(50, 3) + [0.0] * 5, "b": drawn(0, 3, seed=1) + [50.0] * 5}, 0.1, first=3, most=30)
    assert later == early


def test_p_is_below_5_per_cent_just_where_the_interval_of_its_look_excludes_0():
    found = [
        pair.comparison
        for seed in range(200)
        for pair in decide({"a": drawn(1.2, 8, seed=seed), "b": drawn(0, 8, seed=1000 + seed)}, 0.1, 5, 8).pairs
    ]
    assert {pair.p < ALPHA for pair in found} == {True, False}
    assert all((pair.p < ALPHA) == pair.is_separated and pair.p <= 1 for pair in found)


def test_it_goes_on_as_if_never_stopped():
    values = {"a": drawn(0.4, 30), "b": drawn(0, 30, seed=1)}
    few = decide(values, margin=0.01, first=3, most=8)
    more = decide(values, margin=0.01, first=3, most=30)
    assert few.looks == (3, 5, 8)
    assert few.next_look is None
    assert few.wanted == ("a", "b")
    assert more.looks[:3] == few.looks


def test_equal_within_the_margin_ends_it():
    values = {"a": drawn(0, 12), "b": drawn(0, 12, seed=1)}
    found = decide(values, margin=3.0, first=3, most=30)
    assert kinds(found) == {frozenset("ab"): ("equal", found.looks[-1])}
    assert decide(values, margin=0.0, first=3, most=30).next_look == 18


def test_a_look_needs_all_seeds_of_its_pairs_and_failed_ones_count():
    values = {"a": drawn(0, 5), "b": drawn(0, 4, seed=1)}
    assert decide(values, 0.01, first=3, most=30).looks == (3,)
    values["b"].append(math.nan)
    assert decide(values, 0.01, first=3, most=30).looks == (3, 5)
    assert decide({"a": [1.0], "b": [2.0]}, 0.01, first=3, most=30).pairs == ()


def test_a_seed_that_is_alone_decides_nothing():
    found = decide({"a": [1.0, math.nan, math.nan], "b": [5.0, 5.1, 5.2]}, 0.01, first=3, most=30)
    assert kinds(found) == {frozenset("ab"): ("open", 3)}


@pytest.mark.parametrize("spread", [(1.0, 1.0, 1.0), (3.5, 1.0, 1.0)])
def test_all_looks_together_are_rarely_wrong(spread):
    random, wrong = np.random.default_rng(3), 0
    for _ in range(200):
        values = {str(n): list(random.normal(0, sd, size=30)) for n, sd in enumerate(spread)}
        wrong += any(pair.kind is Kind.BETTER for pair in decide(values, 0.01, first=3, most=30).pairs)
    assert wrong / 200 < ALPHA + 2 * math.sqrt(ALPHA * (1 - ALPHA) / 200)


def test_standings_take_the_seeds_that_all_have():
    seeds, (pair,) = stand({"a": [0.9, 0.8, 0.7], "b": [0.5, 0.4]})
    (of_two,) = compare({"a": [0.9, 0.8], "b": [0.5, 0.4]}, alpha=spent(2))
    assert (seeds, pair) == (2, of_two)
    assert stand({"a": [0.9, 0.8], "b": [0.5]}) == (1, [])
    assert stand({}) == (0, [])


@pytest.mark.slow
@pytest.mark.parametrize("groups", [2, 4])
def test_whoever_stops_as_soon_as_standings_tell_a_pair_apart_is_rarely_wrong(groups):
    random, wrong = np.random.default_rng(0), 0
    for _ in range(400):
        values = {str(group): random.normal(size=10).tolist() for group in range(groups)}
        looks = (stand({name: found[:seeds] for name, found in values.items()})[1] for seeds in range(2, 11))
        wrong += any(pair.is_separated for pairs in looks for pair in pairs)
    assert wrong / 400 < ALPHA
