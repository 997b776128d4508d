"""The life of a sweep's trials: asked of a feed, started in a pool, heard of when they end, told to the feed."""

import random
import signal
import time
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress

from recurrent_cells.config.schema import SweepConfig
from recurrent_cells.interrupts import handled
from recurrent_cells.sweeps.feeds import Feed
from recurrent_cells.sweeps.limits import Limits
from recurrent_cells.sweeps.plan import Trial
from recurrent_cells.sweeps.pools import Pool
from recurrent_cells.sweeps.standings import Standings
from recurrent_cells.sweeps.view import View, counted, say
from recurrent_cells.tracking.patience import patiently, store_failures
from recurrent_cells.tracking.recovery import at_work, recover
from recurrent_cells.tracking.status import beat
from recurrent_cells.tracking.store import Store
from recurrent_cells.trial.claim import is_claimed

# Between two limits, so that two machines that gave way to each other do not again.
SECONDS_TO_WAIT_FOR_OTHERS = (0.5, 1.5)
# Other hosts take a parent run that is silent for ten minutes for dead.
SECONDS_BETWEEN_BEATS = 50.0


def drive(
    feed: Feed,
    pool: Pool,
    store: Store,
    parent: str | None,
    retries: int,
    limits: Limits | None = None,
    standings: Standings | None = None,
) -> None:
    """Train the trials of a feed in a pool until no more come, or `limits` end it, and tell the feed how each ended.

    A trial that was killed is started again, at most `retries` times; a trial that another process trains is looked
    at again later. After a first signal, or once the budget is used, running trials save their state and no more
    start; a second signal ends them at once.

    Args:
        parent: the run of the sweep, if it has one.
        standings: what a watcher is told of the comparison.

    Raises:
        Interrupted: after a signal, once no trial runs any more.
    """
    pulse, deaths = Pulse(store, parent), Counter[Trial]()
    limits, is_over = limits or Limits(SweepConfig(), store, parent, {}), False
    pool.heed(limits.refused)
    with handled() as interruption, opened(pool):
        queue = Queue(feed, pool, store)
        queue.fill()
        view = View(lambda: queue.size, pool.slots, queue.where(), standings)
        with view, nullcontext() if pool.blocks else interruption.deferred():
            while pool.running or not (interruption.asked or limits.reason or queue.done):
                limits.look()
                may_start = pool.running < pool.slots and not (interruption.asked or limits.reason)
                group = _wanted(queue.take(), feed, limits) if may_start else []
                if group and limits.allow(group):
                    limits.started(group)
                    for trial in group:
                        view.started(trial)
                    store.disconnect()  # a fork must not share connections
                    feed.disconnect()
                    pool.start(group)
                ended = list(pool.ended(0.0 if group else pool.poll_seconds))
                for trial, outcome in ended:
                    limits.ended(trial, outcome)
                    view.ended(trial, outcome)
                    deaths[trial] += outcome.status == "killed"
                    if outcome.status == "busy":
                        queue.give_way([trial])
                    elif outcome.status == "killed" and (interruption.asked or is_over):
                        continue  # the next start of the sweep goes on with the trial
                    elif outcome.status == "left" or (outcome.status == "killed" and deaths[trial] <= retries):
                        queue.again.append(trial)
                    else:
                        feed.tell(trial, outcome)
                if any(outcome.status in ("killed", "failed") for _, outcome in ended):
                    patiently(lambda: recover(store), store.patience)  # what a dead process left can be gone on with
                signum = interruption.take()
                if limits.is_over and not is_over:
                    is_over, signum = True, signum or signal.SIGTERM
                if signum is not None:
                    view.stopping()
                    pool.stop(signum)
                pulse.beat()
                view.tick()
        interruption.raise_if_asked()


def _wanted(trials: Sequence[Trial], feed: Feed, limits: Limits) -> list[Trial]:
    """The trials but those that the sweep is asked to leave out, of which the feed is told."""
    left_out = {trial: outcome for trial in trials if (outcome := limits.left_out(trial)) is not None}
    for trial, outcome in left_out.items():
        feed.tell(trial, outcome)
    return [trial for trial in trials if trial not in left_out]


@contextmanager
def opened(pool: Pool) -> Iterator[None]:
    """Have a pool ready while the body runs, and no trial running after it."""
    pool.begin()
    try:
        yield
    finally:
        pool.end()


class Queue:
    """Trials that wait for their start: in groups that are each a program, to be tried again, or trained elsewhere."""

    def __init__(self, feed: Feed, pool: Pool, store: Store) -> None:
        self._feed, self._pool, self._store = feed, pool, store
        self._ready: deque[Sequence[Trial]] = deque()
        self.again: list[Trial] = []
        self._busy: list[Trial] = []
        self._next_look = 0.0
        self._asked = 0
        self._has_said = False

    def take(self) -> Sequence[Trial]:
        """The next trials that start as one program; empty if there are none at this moment."""
        if not self._ready:
            self.fill()
        return self._ready.popleft() if self._ready else ()

    def fill(self) -> None:
        """Have ready what may start now: what is to be tried again, what the feed gives, what others left."""
        trials, self.again = self.again, []
        if not trials and not self._feed.done:
            trials = list(self._feed.ask())
            self._asked += len(trials)
        if self._busy and time.monotonic() > self._next_look:
            trials, self._busy = trials + self._busy, []
        if trials:
            elsewhere = patiently(lambda: at_work(self._store), self._store.patience)
            busy = {
                trial
                for trial in trials
                if (trial.fingerprint in elsewhere or is_claimed(self._store, trial.fingerprint))
                and not self._pool.holds(trial)
            }
            self._ready.extend(self._pool.grouped([trial for trial in trials if trial not in busy]))
            self.give_way([trial for trial in trials if trial in busy])
        if self._busy and not (self._ready or self._pool.running or self._has_said):
            say(f"waiting for {counted(len(self._busy), 'trial')} that other processes train")
            self._has_said = True

    def give_way(self, trials: Sequence[Trial]) -> None:
        """Leave trials to the processes that train them, for a while."""
        self._busy += trials
        if trials:
            self._next_look = time.monotonic() + random.uniform(*SECONDS_TO_WAIT_FOR_OTHERS)

    @property
    def done(self) -> bool:
        return self._feed.done and not (self._ready or self.again or self._busy)

    @property
    def size(self) -> int:
        """How many trials there are with those that have started."""
        return self._asked + self._feed.waiting

    def where(self) -> str:
        """In what the trials run, in words."""
        return self._pool.where(self._ready, self.size)


class Pulse:
    """Tells other hosts, by a tag on a sweep's parent run, that the sweep is still at work while its trials wait."""

    def __init__(self, store: Store, parent: str | None) -> None:
        self._store, self._parent = store, parent
        self._next_beat = time.monotonic() + SECONDS_BETWEEN_BEATS

    def beat(self) -> None:
        if self._parent is None or time.monotonic() < self._next_beat:
            return
        self._next_beat = time.monotonic() + SECONDS_BETWEEN_BEATS
        with suppress(*store_failures()):  # the next beat comes in time
            beat(self._store, [self._parent])
