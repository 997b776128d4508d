from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from recurrent_cells.statistics.letters import letters


def test_three_of_which_the_ends_are_told_apart():
    assert letters(["gru", "lstm", "rnn"], [frozenset(("gru", "rnn"))]) == {"gru": "a", "lstm": "ab", "rnn": "b"}


def test_none_and_all_are_told_apart():
    names = ["a", "b", "c"]
    assert set(letters(names, []).values()) == {"a"}
    everything = [frozenset(pair) for pair in combinations(names, 2)]
    assert list(letters(names, everything).values()) == ["a", "b", "c"]


@given(st.integers(1, 8).flatmap(lambda count: st.tuples(st.just(count), st.sets(st.integers(0, 27)))))
def test_two_share_a_letter_if_and_only_if_they_are_not_told_apart(drawn):
    count, chosen = drawn
    names = [f"cell {place}" for place in range(count)]
    pairs = [frozenset(pair) for pair in combinations(names, 2)]
    separated = {pair for place, pair in enumerate(pairs) if place in chosen}
    found = letters(names, separated)
    for pair in pairs:
        one, other = pair
        assert bool(set(found[one]) & set(found[other])) == (pair not in separated)


def test_in_whatever_order_the_pairs_are_given_the_letters_are_the_same():
    pairs = [frozenset(pair) for pair in ("AG", "BF", "CE", "AD", "DG", "AE")]
    found = {tuple(letters("ABCDEFG", order).items()) for order in (pairs, pairs[::-1], pairs[3:] + pairs[:3])}
    assert len(found) == 1
