"""Letters that show which of many are told apart."""

from collections.abc import Collection, Sequence
from string import ascii_lowercase


def letters(names: Sequence[str], separated: Collection[frozenset[str]]) -> dict[str, str]:
    """The letters of each name: two share a letter if and only if they are not separated.

    Args:
        names: in the order in which letters are given out, at most a few tens.
        separated: the pairs that are.

    Source: Piepho (2004), an algorithm for a letter-based representation of all-pairwise comparisons.
    """
    groups = [set(names)]
    for pair in separated:
        if not pair <= set(names):
            continue
        one, other = pair
        split = [group for group in groups if {one, other} <= group]
        parts = [group - {name} for group in split for name in (one, other)]
        groups = _largest([group for group in groups if group not in split] + parts)
    groups.sort(key=lambda group: sorted(map(names.index, group)))
    return {name: "".join(_letter(place) for place, group in enumerate(groups) if name in group) for name in names}


def _largest(groups: Sequence[set[str]]) -> list[set[str]]:
    """The groups that no other contains, each once."""
    found: list[set[str]] = []
    for group in sorted(groups, key=len, reverse=True):
        if not any(group <= other for other in found):
            found.append(group)
    return found


def _letter(place: int) -> str:
    rounds, place = divmod(place, len(ascii_lowercase))
    return ascii_lowercase[place] + "'" * rounds
