"""One drive for every feed and pool: what is started, started again, waited for and told."""

import os
import signal
import threading
import time
from dataclasses import dataclass, field

import pytest

from recurrent_cells.config.schema import Config
from recurrent_cells.errors import Interrupted
from recurrent_cells.sweeps import drive as driving
from recurrent_cells.sweeps.drive import drive
from recurrent_cells.sweeps.feeds import GridFeed
from recurrent_cells.sweeps.plan import Trial
from recurrent_cells.sweeps.pools import Pool
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


def test_the_parent_of_trials_that_wait_shows_that_the_sweep_is_at_work(store, monkeypatch):
    monkeypatch.setattr(driving, "SECONDS_BETWEEN_BEATS", 0.1)
    parent = store.client.create_run(store.experiment_id, tags={"process.heartbeat": "0"}).info.run_id
    driven(Scripted(seconds=0.5), store, trial("a"), parent=parent)
    assert store.client.get_run(parent).data.tags["process.heartbeat"] != "0"


def test_a_store_that_takes_no_heartbeat_costs_nothing(store, monkeypatch):
    monkeypatch.setattr(driving, "SECONDS_BETWEEN_BEATS", 0.0)
    assert driven(Scripted(seconds=0.2), store, trial("a"), parent="no such run") == {"a": "finished"}
