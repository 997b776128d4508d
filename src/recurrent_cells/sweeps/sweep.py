"""Running a sweep: leave out the finished trials, train the rest, tell what became of all."""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from omegaconf import DictConfig

from recurrent_cells.config.schema import SweepConfig, TrackingConfig
from recurrent_cells.data.splits import load_splits
from recurrent_cells.errors import DeliveryError
from recurrent_cells.interrupts import handled
from recurrent_cells.sweeps.drive import drive
from recurrent_cells.sweeps.feeds import Feed, GridFeed
from recurrent_cells.sweeps.grid import Point
from recurrent_cells.sweeps.parent import Parent, close_parent, open_parent
from recurrent_cells.sweeps.plan import Trial, plan_trials, shortened
from recurrent_cells.sweeps.pools import Pool
from recurrent_cells.sweeps.summary import plan_table, summary
from recurrent_cells.sweeps.view import counted, say
from recurrent_cells.tracking.names import Artifact
from recurrent_cells.tracking.patience import patiently
from recurrent_cells.tracking.queries import TrialRecord, latest_by_fingerprint, trial_records, unpruned
from recurrent_cells.tracking.recovery import recover
from recurrent_cells.tracking.repairs import mark_damaged, read_back, tell
from recurrent_cells.tracking.store import Store, open_store
from recurrent_cells.training.artifacts import first_digits
from recurrent_cells.trial.claim import Train
from recurrent_cells.trial.outcome import Outcome

# What the store knows of trials, by fingerprint.
Records = dict[str, TrialRecord]


@dataclass(frozen=True)
class Runner:
    """What runs a sweep or a search.

    Args:
        train: trains the trial of a config.
        config: of the sweep, before any of its choices is made.
        name: of the parent run.
    """

    pool: Pool
    train: Train
    config: DictConfig
    settings: SweepConfig
    tracking: TrackingConfig
    name: str

    def open_store(self) -> Store:
        """The store, with true statuses."""
        store = open_store(self.tracking.experiment, self.tracking.patience)
        recover(store)
        tell(read_back(store, seconds=5) + mark_damaged(store))
        return store


@dataclass(frozen=True)
class Swept:
    """A sweep that has ended, its parent closed.

    Args:
        outcomes: of the trials that were started, by fingerprint.
        refused: lines on trials that have no config.
        summary: a table of the trials.
        report: whether a report is wanted.
    """

    store: Store
    parent: Parent
    trials: Sequence[Trial]
    outcomes: Mapping[str, Outcome]
    records: Records
    refused: Sequence[str]
    summary: str
    report: bool

    @property
    def unfinished(self) -> list[Trial]:
        return unfinished(self.trials, self.records, self.parent.since)


def run_sweep(points: Sequence[Point], runner: Runner) -> Swept | None:
    """Do what is missing of a sweep; None after a dry run.

    Raises:
        UserError: if some trial cannot start, with the faults of all; none was started.
        Interrupted: after a signal, the running trials having saved their state.
    """
    trials = plan_trials(points)
    if remark := shortened(trials):
        say(remark)
    store, settings = runner.open_store(), runner.settings
    everything = trial_records(store)
    records = latest_by_fingerprint(unpruned(everything))
    if settings.dry_run:
        since = int(time.time() * 1000) if settings.rerun == "all" else 0
        print(plan_table(trials, to_run(trials, records, settings.rerun, since), records, unpruned(everything)))
        return None
    runner.pool.prepare(runner.train, runner.config, store)
    with handled():
        parent = open_parent(store, trials, runner.name, again=settings.rerun == "all")
        show_digits(store, parent, trials[0])
        todo = to_run(trials, records, settings.rerun, parent.since)
        if len(todo) < len(trials):
            say(f"{len(trials) - len(todo)} of {counted(len(trials), 'trial')} are left out")
        feed = GridFeed([trial.below(parent.run_id, parent.since) for trial in todo], trials)
        return carry_out(runner, feed, store, parent, summary)


def show_digits(store: Store, parent: Parent, trial: Trial) -> None:
    """Keep the first images of a sweep with its parent."""
    digits = first_digits(load_splits(trial.config.data))
    patiently(lambda: store.client.log_figure(parent.run_id, digits, Artifact.FIRST_DIGITS), store.patience)


def carry_out(
    runner: Runner, feed: Feed, store: Store, parent: Parent, summary: Callable[[Sequence[Trial], Records], str]
) -> Swept:
    """Train the trials of a feed and close the sweep's parent, however that ends.

    Args:
        summary: makes a table of the trials.

    Raises:
        Interrupted: after a signal.
    """
    with handled() as interruption:
        try:
            if not feed.done:
                drive(feed, runner.pool, store, parent.run_id, runner.settings.retries)
        except BaseException:
            with interruption.deferred(), suppress(DeliveryError):  # what ended the sweep is what counts
                _close(store, parent, feed, completed=False)
            raise
        with interruption.deferred():
            records = _close(store, parent, feed, completed=True)
        interruption.raise_if_asked()
    table = summary(feed.trials, records)
    return Swept(store, parent, feed.trials, feed.outcomes, records, feed.refused, table, runner.settings.report)


def _close(store: Store, parent: Parent, feed: Feed, completed: bool) -> Records:
    """Give the parent its counts and its status; what the store knows of the trials."""
    feed.close()
    patiently(lambda: recover(store), store.patience)
    known = patiently(lambda: unpruned(trial_records(store), but_by=parent.run_id), store.patience)
    records = latest_by_fingerprint(known)
    left = unfinished(feed.trials, records, parent.since)
    failed = [trial for trial in left if trial.fingerprint in feed.outcomes or _has_failed(records, trial)]
    status = "KILLED" if not completed else "FAILED" if left or feed.refused else "FINISHED"
    counts = {"finished": len(feed.trials) - len(left), "failed": len(failed) + len(feed.refused)}
    patiently(lambda: close_parent(store, parent.run_id, counts, status), store.patience)
    if not completed:
        say(f"{counts['finished']} of {counted(len(feed.trials), 'trial')} finished")
    return records


def unfinished(trials: Sequence[Trial], records: Mapping[str, TrialRecord], since: int) -> list[Trial]:
    """The trials without a run that FINISHED at `since` (milliseconds) or later."""
    return [trial for trial in trials if not _is_finished(records.get(trial.fingerprint), since)]


def _is_finished(record: TrialRecord | None, since: int) -> bool:
    return record is not None and record.status == "FINISHED" and record.end_time >= since


def to_run(trials: Sequence[Trial], records: Mapping[str, TrialRecord], rerun: str, since: int) -> list[Trial]:
    """`missing`, `all`: those without a FINISHED run (since the rerun began); `failed`: whose last run is FAILED."""
    left = unfinished(trials, records, since)
    return [trial for trial in left if _has_failed(records, trial)] if rerun == "failed" else left


def _has_failed(records: Mapping[str, TrialRecord], trial: Trial) -> bool:
    record = records.get(trial.fingerprint)
    return record is not None and record.status == "FAILED"
