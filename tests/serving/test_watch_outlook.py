"""How far a search has come by its page, and how long a search or a sweep still takes."""

from dataclasses import replace

import pytest

from recurrent_cells.serving.watch.outlook import Search, search_of, seconds_left
from recurrent_cells.serving.watch.sweep import WatchedSweep
from recurrent_cells.sweeps.search.outline import as_json
from recurrent_cells.sweeps.search.ranges import Choices, Interval
from recurrent_cells.sweeps.search.settings import SearchSettings
from recurrent_cells.sweeps.search.space import Space
from recurrent_cells.tracking.parents import read_parent
from tests.written_sweeps import Made, make_sweep, store

__all__ = ["make_sweep", "store"]  # fixtures

RATES = {"optimizer.lr": Interval(1e-4, 1e-1, log=True)}
SIX = {"model": Choices(("lstm", "gru")), "model.num_layers": Interval(1, 3, integer=True, step=1)}


def outline(ranges=RATES, **settings):
    return as_json(Space(lambda overrides: None, (), ranges), SearchSettings(**settings))


def row(state, configuration=0, **more):
    return {"state": state, "configuration": configuration} | more


def ended(configuration, seconds=10.0):
    return row("finished", configuration, seconds=seconds)


@pytest.mark.parametrize(
    ("ranges", "settings", "proposals"),
    [
        (RATES, {"n_trials": 60}, 60),
        (SIX, {"n_trials": 60, "sampler": "random"}, 60),
        (SIX, {"n_trials": 60, "sampler": "grid"}, 6),
        (SIX, {"n_trials": 4, "sampler": "grid"}, 4),
    ],
)
def test_a_search_makes_as_many_proposals_as_it_is_asked_for_and_a_grid_no_more_than_it_has(
    store, make_sweep, ranges, settings, proposals
):
    parent = make_sweep(Made("gru", 0), outline=outline(ranges, **settings))
    store.client.set_tag(parent, "search.tried", "2")
    assert search_of(store, read_parent(store, parent)) == Search(proposals, 2)


def test_a_count_that_was_edited_by_hand_is_none(store, make_sweep):
    parent = make_sweep(Made("gru", 0), outline=outline())
    store.client.set_tag(parent, "search.tried", "a few")
    assert search_of(store, read_parent(store, parent)).tried is None


def test_a_sweep_of_a_fixed_plan_has_no_proposals(store, make_sweep):
    assert search_of(store, read_parent(store, make_sweep(Made("gru", 0)))) is None


def test_the_page_tells_of_the_proposals_that_are_tried_and_of_all(store, make_sweep):
    """Three proposals came to two trials; a larger number is seen once the search goes on with it."""
    trials = [Made("gru", 0, params={"optimizer.lr": rate}) for rate in ("0.1", "0.2")]
    parent = make_sweep(*trials, outline=outline(n_trials=20))
    store.client.set_tag(parent, "search.tried", "3")
    described = WatchedSweep(store, "latest").since("")["sweep"]
    assert described["search"] == {"proposals": 20, "tried": 3, "seeds": 1}
    assert len(described["trials"]) == 2


def test_without_a_trial_that_runs_or_has_ended_the_time_left_is_not_known():
    assert seconds_left([ended(0), row("waiting", 1)], None) is None
    assert seconds_left([row("running")], Search(20, 0)) is None
    assert seconds_left([row("running"), ended(0)], Search(20, 0)) is None


def test_the_time_that_a_search_still_takes_counts_the_proposals_to_come():
    """Two of ten are tried in 10 seconds each, two run for 4 more seconds each, six are to come, two at once."""
    rows = [ended(0), ended(1), row("running", 2, left=4.0), row("running", 3, left=4.0)]
    assert seconds_left(rows, Search(10, 2)) == pytest.approx((6 * 10 + 2 * 4) / 2)


def test_what_pruning_saves_and_equal_proposals_shorten_what_is_left():
    running = row("running", 9, left=0.0)
    assert seconds_left([ended(0), running], Search(6, 1)) == pytest.approx(4 * 10)
    assert seconds_left([ended(0), row("pruned", 1, seconds=2.0), running], Search(6, 2)) == pytest.approx(3 * 6)
    assert seconds_left([ended(0), running], Search(6, 4)) == pytest.approx(10 / 4)


def test_further_seeds_count_before_they_are_planned():
    """One proposal took two seeds; the next has half of its first seed left, so probably another after that."""
    rows = [ended(0), ended(0), row("running", 1, left=5.0)]
    assert seconds_left(rows, Search(2, 1)) == pytest.approx(15)
    planned = [ended(1), row("running", 1, left=5.0), row("waiting", 1)]
    assert seconds_left(rows[:2] + planned, Search(2, 1)) == pytest.approx(15)


def test_a_search_that_goes_beyond_what_it_was_asked_for_has_only_what_runs_left():
    search = Search(2, 1)
    rows = [ended(0), row("running", 1, left=3.0), row("running", 2, left=3.0)]
    assert seconds_left(rows, search) == seconds_left(rows, replace(search, proposals=3)) == pytest.approx(3)
