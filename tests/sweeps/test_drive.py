"""One drive for every feed and pool: what is started, started again, waited for and told."""

import os
import signal
import threading
import time
from dataclasses import dataclass, field, replace

import pytest

from recurrent_cells.config.schema import Config, SweepConfig
from recurrent_cells.errors import Interrupted
from recurrent_cells.sweeps import drive as driving
from recurrent_cells.sweeps import limits as limiting
from recurrent_cells.sweeps.drive import drive
from recurrent_cells.sweeps.feeds import GridFeed
from recurrent_cells.sweeps.limits import Limits
from recurrent_cells.sweeps.plan import Trial
from recurrent_cells.sweeps.pools import Pool
from recurrent_cells.tracking.steering import ask_to_skip, ask_to_stop, read_orders
from recurrent_cells.trial.outcome import Outcome


@dataclass
class Scripted(Pool):
    """A pool whose trials do nothing and end as they are told to, one outcome after the other."""

    outcomes: dict[str, list[Outcome]] = field(default_factory=dict)
    slots: int = 2
    seconds: float = 0.0
    started: list[str] = field(default_factory=list)
    stopped: list[int] = field(default_factory=list)
    at_work: dict[Trial, float] = field(default_factory=dict)
    has_ended: bool = False

    def begin(self):
        pass

    @property
    def running(self):
        return len(self.at_work)

    def start(self, trials):
        self.started += [trial.name for trial in trials]
        self.at_work |= {trial: time.monotonic() for trial in trials}

    def ended(self, seconds):
        time.sleep(seconds)
        for trial, start in list(self.at_work.items()):
            if self.stopped:
                del self.at_work[trial]
                yield trial, Outcome("killed", error="asked")
            elif time.monotonic() - start >= self.seconds:
                del self.at_work[trial]
                left = self.outcomes.get(trial.name, [])
                yield trial, left.pop(0) if left else Outcome("finished")

    def stop(self, signum):
        self.stopped.append(signum)

    def end(self):
        self.has_ended = True


def trial(name: str, work: int = 1) -> Trial:
    return Trial((), {}, Config(), name, f"fingerprint of {name}", "", 1, work=work)


def driven(pool, store, *trials, retries=1, parent=None):
    feed = GridFeed(trials)
    drive(feed, pool, store, parent, retries)
    return {name.removeprefix("fingerprint of "): outcome.status for name, outcome in feed.outcomes.items()}


KILLED, BUSY, FAILED = Outcome("killed", error="dead"), Outcome("busy"), Outcome("failed", error="broken")


def test_the_longest_start_first_and_at_most_as_many_as_there_are_slots(store):
    pool = Scripted(slots=1, seconds=0.05)
    told = driven(pool, store, trial("a", 1), trial("b", 3), trial("c", 2))
    assert pool.started == ["b", "c", "a"]
    assert told == {"a": "finished", "b": "finished", "c": "finished"}
    assert pool.has_ended


def test_a_killed_trial_starts_again_after_the_others_and_a_failed_one_does_not(store):
    pool = Scripted({"a": [KILLED], "b": [FAILED], "c": [KILLED, KILLED, KILLED]}, slots=1)
    told = driven(pool, store, trial("a"), trial("b"), trial("c"))
    assert told == {"a": "finished", "b": "failed", "c": "killed"}
    assert pool.started == ["a", "b", "c", "a", "c"]


def test_a_trial_that_another_process_trains_is_looked_at_again_later_and_not_at_once(store, monkeypatch):
    monkeypatch.setattr(driving, "SECONDS_TO_WAIT_FOR_OTHERS", (0.3, 0.4))
    pool = Scripted({"a": [BUSY, BUSY]})
    start = time.monotonic()
    assert driven(pool, store, trial("a"), trial("b"), retries=0) == {"a": "finished", "b": "finished"}
    assert pool.started.count("a") == 3
    assert time.monotonic() - start >= 0.6


def test_a_signal_has_running_trials_save_and_starts_no_more(store):
    class Signalled(Scripted):
        def start(self, trials):
            super().start(trials)
            threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGTERM)).start()

    pool = Signalled(slots=1, seconds=60)
    feed = GridFeed([trial("a"), trial("b")])
    with pytest.raises(Interrupted):
        drive(feed, pool, store, None, retries=1)
    assert (pool.started, pool.stopped, pool.has_ended) == (["a"], [signal.SIGTERM], True)
    assert feed.outcomes == {}  # the next start goes on with both


def limits(store, parent=None, **settings):
    return Limits(SweepConfig(**settings), store, parent, {"long": 100.0})


def test_no_more_trials_start_once_the_parent_is_asked_to_stop(store, monkeypatch):
    monkeypatch.setattr(limiting, "SECONDS_BETWEEN_LOOKS", 0.0)
    parent = store.client.create_run(store.experiment_id).info.run_id

    class Asked(Scripted):
        def start(self, trials):
            super().start(trials)
            ask_to_stop(store, parent, "enough")

    pool, found, feed = Asked(slots=1, seconds=0.1), limits(store, parent), GridFeed([trial("a"), trial("b")])
    drive(feed, pool, store, parent, 0, found)
    assert (pool.started, pool.stopped, found.reason) == (["a"], [], "stopped: enough")
    assert {outcome.status for outcome in feed.outcomes.values()} == {"finished"}


def test_a_trial_that_the_parent_is_asked_to_skip_is_left_out(store):
    parent = store.client.create_run(store.experiment_id).info.run_id
    ask_to_skip(store, parent, trial("b").fingerprint, "not now")
    pool, feed = Scripted(slots=1), GridFeed([trial("a"), trial("b"), trial("c")])
    drive(feed, pool, store, parent, 0, limits(store, parent))
    assert pool.started == ["a", "c"]
    assert feed.outcomes[trial("b").fingerprint] == Outcome("stopped", error="skipped: not now")


def test_a_trial_that_would_not_end_within_the_budget_does_not_start(store):
    pool, feed = Scripted(slots=1), GridFeed([trial("short", 2), replace(trial("long"), shape="long")])
    found = limits(store, budget="1min")
    drive(feed, pool, store, None, 0, found)
    assert (pool.started, pool.stopped) == (["short"], [])
    assert found.reason == "sweep.budget=1min is used"


def test_a_trial_that_knows_of_the_end_of_its_sweep_ends_the_sweep(store):
    parent = store.client.create_run(store.experiment_id).info.run_id

    class Late(Scripted):
        def start(self, trials):
            ask_to_stop(store, parent, "enough")
            super().start(trials)

    left = Outcome("left", error="stopped: enough")
    pool, feed, found = Late({"a": [left]}, slots=1), GridFeed([trial("a"), trial("b")]), limits(store, parent)
    drive(feed, pool, store, parent, 0, found)
    assert (pool.started, found.reason, feed.outcomes) == (["a"], "stopped: enough", {})


def test_a_trial_that_heard_of_an_earlier_end_of_its_sweep_starts_again(store):
    parent = store.client.create_run(store.experiment_id).info.run_id
    pool, feed = Scripted({"a": [Outcome("left", error="stopped: enough")]}), GridFeed([trial("a")])
    drive(feed, pool, store, parent, 0, limits(store, parent))
    assert pool.started == ["a", "a"]
    assert {outcome.status for outcome in feed.outcomes.values()} == {"finished"}


def test_a_clock_that_was_set_ahead_leaves_a_budget_as_long_as_it_is(store, monkeypatch):
    parent = store.client.create_run(store.experiment_id).info.run_id
    found, true_time = limits(store, parent, budget="1min"), time.time
    found.announce()
    monkeypatch.setattr(time, "time", lambda: true_time() + 3600)
    assert read_orders(store, parent).is_budget_used
    pool, feed = Scripted({"a": [Outcome("left", error="sweep.budget is used")]}), GridFeed([trial("a")])
    drive(feed, pool, store, parent, 0, found)
    assert {outcome.status for outcome in feed.outcomes.values()} == {"finished"}
    assert not read_orders(store, parent).is_budget_used


def test_a_sweep_without_a_budget_goes_on_when_that_of_another_start_is_used(store):
    parent = store.client.create_run(store.experiment_id).info.run_id
    limits(store, parent, budget="0s").announce()

    class Obedient(Scripted):
        def start(self, trials):
            super().start(trials)
            if read_orders(store, parent).is_budget_used:
                self.outcomes = {it.name: [Outcome("left", error="sweep.budget is used")] for it in trials}

    pool, feed = Obedient(slots=1), GridFeed([trial("a"), trial("b")])
    drive(feed, pool, store, parent, 0, limits(store, parent))
    assert sorted(pool.started) == ["a", "a", "b"]
    assert {outcome.status for outcome in feed.outcomes.values()} == {"finished"}


def test_what_waits_in_a_queue_of_the_pool_is_refused_as_what_has_not_started(store, monkeypatch):
    monkeypatch.setattr(limiting, "SECONDS_BETWEEN_LOOKS", 0.0)
    parent = store.client.create_run(store.experiment_id).info.run_id
    ask_to_skip(store, parent, trial("b").fingerprint, "not now")
    found = limits(store, parent, budget="1min")
    found.look()
    assert found.refused(trial("a")) is None
    assert found.refused(trial("b")) == Outcome("stopped", error="skipped: not now")
    late = replace(trial("c"), shape="long")  # than the budget, as far as is known
    assert found.refused(late) == Outcome("left", error="sweep.budget=1min is used")
    ask_to_stop(store, parent, "enough")
    found.look()
    assert found.refused(trial("a")) == Outcome("left", error="stopped: enough")


@pytest.mark.parametrize("waiting", [[], [trial("b")]])
def test_trials_that_run_when_the_budget_is_used_save_and_end(store, waiting):
    pool, feed, found = Scripted(slots=1, seconds=60), GridFeed([trial("a", 2), *waiting]), limits(store, budget="0.3s")
    drive(feed, pool, store, None, 1, found)
    assert (pool.started, pool.stopped) == (["a"], [signal.SIGTERM])
    assert found.reason == "sweep.budget=0.3s is used"
    assert feed.outcomes == {}  # the next start goes on with both


def test_no_more_trials_start_once_so_many_have_failed(store):
    pool = Scripted({name: [FAILED] for name in "abc"}, slots=1)
    feed, found = GridFeed([trial(name) for name in "abc"]), limits(store, stop_after_failures=2)
    drive(feed, pool, store, None, 0, found)
    assert pool.started == ["a", "b"]
    assert "stop_after_failures=2" in found.reason


def test_the_parent_of_trials_that_wait_shows_that_the_sweep_is_at_work(store, monkeypatch):
    monkeypatch.setattr(driving, "SECONDS_BETWEEN_BEATS", 0.1)
    parent = store.client.create_run(store.experiment_id, tags={"process.heartbeat": "0"}).info.run_id
    driven(Scripted(seconds=0.5), store, trial("a"), parent=parent)
    assert store.client.get_run(parent).data.tags["process.heartbeat"] != "0"


def test_a_store_that_takes_no_heartbeat_costs_nothing(store, monkeypatch):
    monkeypatch.setattr(driving, "SECONDS_BETWEEN_BEATS", 0.0)
    assert driven(Scripted(seconds=0.2), store, trial("a"), parent="no such run") == {"a": "finished"}
