from types import SimpleNamespace
from typing import Any

from recurrent_cells.config.schema import Config
from recurrent_cells.sweeps.parent import Parent
from recurrent_cells.sweeps.plan import Trial
from recurrent_cells.sweeps.stages import StagedFeed


def trial(name: str, work: int) -> Trial:
    return Trial((), {}, Config(), name, name, "", 1, work=work)


def test_the_longest_trials_start_first_and_last_those_that_failed_before(store):
    """Else sweep.stop_after_failures would end each start at the same trial."""
    trials = [trial("failed", 3), trial("short", 1), trial("long", 2)]
    records: Any = {"failed": SimpleNamespace(status="FAILED", stopped="")}
    feed = StagedFeed(trials, [], store, Parent("parent"), "missing", records)
    assert [it.name for it in feed.ask()] == ["long", "short", "failed"]
