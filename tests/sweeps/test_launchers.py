"""Pools of a user's own, and pools under sweepers of Hydra's."""

import pytest

from recurrent_cells.sweeps.pools.local import LocalPool
from recurrent_cells.tables import POOLS


class SignedPool(LocalPool):
    """Says who it is, and trains as `local` does."""

    name = "signed"

    def __init__(self, words: str = "nobody", slots: int | None = None) -> None:
        super().__init__(slots)
        self.words = words

    def where(self, groups, count):
        return f"by {self.words}"


@pytest.fixture
def signed():
    POOLS.add(SignedPool)
    yield
    POOLS.clear()


def test_a_pool_of_a_users_file_is_a_launcher_whose_options_are_its_arguments(sweep, trials, signed):
    answer = sweep("seed=0,1", "hydra.launcher.words=me", launcher="hydra/launcher=signed")
    assert (answer.code, answer.err.splitlines()[0]) == (0, "2 trials by me")
    assert [record.status for record in trials()] == ["FINISHED"] * 2
    unknown = sweep("seed=0,1", "hydra.launcher.word=me", launcher="hydra/launcher=signed")
    assert (unknown.code, unknown.err.partition(";")[0]) == (2, "hydra.launcher.word: no such key")


def test_a_pool_under_hydras_own_sweeper_trains_each_trial(sweep, trials, parents):
    answer = sweep("seed=0,1", "hydra/sweeper=basic")
    assert answer.code == 0
    assert answer.err.splitlines()[0] == "2 trials on 2 slots"
    assert [record.status for record in trials()] == ["FINISHED"] * 2
    assert parents() == []
