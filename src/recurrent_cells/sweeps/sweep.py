"""Running a sweep: leave out the finished trials, train the rest, tell what became of all."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from omegaconf import DictConfig

from recurrent_cells.config.schema import StudyConfig, SweepConfig, TrackingConfig
from recurrent_cells.data.splits import load_splits
from recurrent_cells.errors import DeliveryError
from recurrent_cells.interrupts import handled
from recurrent_cells.paths import of_user
from recurrent_cells.sweeps.drive import drive
from recurrent_cells.sweeps.dry_run import seconds_by_shape
from recurrent_cells.sweeps.feeds import Feed, GridFeed
from recurrent_cells.sweeps.limits import Limits
from recurrent_cells.sweeps.looks import Looks, LooksOnRequest, question_name
from recurrent_cells.sweeps.parent import Parent, close_parent, open_parent
from recurrent_cells.sweeps.phases import Tuning
from recurrent_cells.sweeps.plan import Trial, has_status, is_stopped, to_run, unfinished
from recurrent_cells.sweeps.pools import Pool
from recurrent_cells.sweeps.stages import Records, Stage, StagedFeed
from recurrent_cells.sweeps.standings import Standings
from recurrent_cells.sweeps.summary import summary
from recurrent_cells.sweeps.view import counted, say
from recurrent_cells.tracking.archive import add_to_archive, take_in
from recurrent_cells.tracking.archived import Archived, read_archive
from recurrent_cells.tracking.artifacts import read_question
from recurrent_cells.tracking.names import Artifact, Tag
from recurrent_cells.tracking.parents import read_parent
from recurrent_cells.tracking.patience import patiently
from recurrent_cells.tracking.queries import TrialRecord, latest_by_fingerprint, trial_records, unpruned
from recurrent_cells.tracking.recovery import recover, settle
from recurrent_cells.tracking.store import Store, open_store
from recurrent_cells.training.pictures import first_sequences
from recurrent_cells.trial.claim import Train
from recurrent_cells.trial.outcome import Outcome


@dataclass(frozen=True)
class Runner:
    """What runs a sweep or a search.

    Args:
        train: trains the trial of a config.
        config: of the sweep, before any of its choices is made.
        name: of the parent run.
        study: which the sweep is; None if it is none.
        part: whether the sweep is a part of that study.
    """

    pool: Pool
    train: Train
    config: DictConfig
    settings: SweepConfig
    tracking: TrackingConfig
    name: str
    study: StudyConfig | None = None
    part: bool = False

    @property
    def archive(self) -> Path | None:
        return None if self.settings.archive is None else of_user(self.settings.archive)

    def open_store(self) -> Store:
        """The store, with true statuses."""
        patience = self.tracking.patience
        store = patiently(lambda: open_store(self.tracking.experiment, patience), 0)
        patiently(lambda: settle(store), patience)
        return store

    def read_archive(self) -> list[Archived]:
        """The trials of the sweep's archive; raises UserError if it is none."""
        return [] if self.archive is None else read_archive(self.archive)

    def take_in(self, store: Store, archived: Sequence[Archived]) -> None:
        """Have the trials of the archive in the store."""
        archive = str(self.archive)
        if archived and (taken := patiently(lambda: take_in(store, archived, archive), store.patience)):
            say(f"{counted(taken, 'finished trial')} taken from {archive}")

    def add_to_archive(self, store: Store, parent: Parent, records: Sequence[TrialRecord]) -> None:
        """Have the sweep and its finished trials in its archive, if it has one."""
        if (path := self.archive) is not None:
            complaint = f"sweep.archive={path}: cannot be written ({{reason}}); once it can the same command writes it"
            sweep = patiently(lambda: read_parent(store, parent.run_id), store.patience)
            add = partial(add_to_archive, store, sweep, records, path, self.part)
            patiently(add, store.patience, complaint=complaint)


@dataclass(frozen=True)
class Swept:
    """A sweep that has ended, its parent closed.

    Args:
        outcomes: of the trials that were started, by fingerprint.
        refused: lines on trials that have no config.
        summary: a table of the trials.
        stopped: why the sweep ended before its plan was done; empty where it did not.
        report: whether a report is wanted.
        study: which the sweep is; None if it is none.
        archive: the file of the sweep and its trials; None if there is none.
    """

    store: Store
    parent: Parent
    trials: Sequence[Trial]
    outcomes: Mapping[str, Outcome]
    records: Records
    refused: Sequence[str]
    summary: str
    stopped: str
    report: bool
    study: StudyConfig | None = None
    archive: Path | None = None

    @property
    def queued(self) -> set[Trial]:
        """The trials that wait or run in the queue of a launcher."""
        return queued(self.trials, self.outcomes)

    @property
    def left(self) -> list[Trial]:
        """The trials that are not finished."""
        return unfinished(self.trials, self.records)

    @property
    def faulty(self) -> list[Trial]:
        """The trials that are neither finished nor queued, nor left on purpose."""
        on_purpose = self.queued | stopped(self.trials, self.outcomes, self.records)
        left = [trial for trial in self.left if trial not in on_purpose]
        return [it for it in left if has_failed(it, self.outcomes, self.records)] if self.stopped else left


def run_sweep(
    trials: Sequence[Trial], runner: Runner, first_phase: Sequence[Trial] = (), keys: Sequence[str] = ()
) -> Swept:
    """Do what is missing of a sweep.

    Args:
        first_phase: trials that choose the values of `keys`, of which `trials` has all.

    Raises:
        UserError: if the store, the archive or the pool will not do; nothing was started.
        Interrupted: after a signal, the running trials having saved their state.
    """
    settings = runner.settings
    archived = runner.read_archive()
    store, planned = runner.open_store(), [*first_phase, *trials]
    runner.take_in(store, archived)
    runner.pool.prepare(runner.train, runner.config, store)
    with handled():
        everything = patiently(lambda: unpruned(trial_records(store)), store.patience)
        is_staged = bool(first_phase) or settings.until == "decided"
        plan = question_name(trials, settings, first_phase) if is_staged else None
        opened = partial(open_parent, store, first_phase or trials, runner.name, settings.rerun, plan)
        parent = patiently(opened, store.patience)
        records = latest_by_fingerprint(everything, parent.earlier)
        todo = to_run(planned, records, settings.rerun)
        if left_out := len(planned) - len(todo):
            say(f"{left_out} of {counted(len(planned), 'trial')} are left out")
        stages = list(_stages(store, parent, settings, first_phase, trials, keys))
        feed: Feed = GridFeed([], trials)
        if is_staged or todo or any(stage.is_wanted for stage in stages):
            feed = StagedFeed(first_phase or trials, stages, store, parent, settings.rerun, records)
        again_too = {trial.fingerprint for trial in todo}
        before = {name: record for name, record in records.items() if name not in again_too}
        standings = None if first_phase else Standings(trials, before)
        return carry_out(runner, feed, store, parent, trials[0], partial(summary, tuning=first_phase), standings)


def _stages(
    store: Store,
    parent: Parent,
    settings: SweepConfig,
    first_phase: Sequence[Trial],
    trials: Sequence[Trial],
    keys: Sequence[str],
) -> Iterator[Stage]:
    if first_phase:
        yield Tuning(first_phase, trials, keys)
    asked = patiently(lambda: read_question(store, read_parent(store, parent.run_id)), store.patience)
    tuning = [trial.fingerprint for trial in first_phase]
    if settings.until == "decided":
        yield Looks(settings, asked, tuning, keys)
    else:
        tags = partial(patiently, lambda: read_parent(store, parent.run_id).tags, store.patience)
        yield LooksOnRequest(settings, asked, tuning, keys, tags)


def _keep_first_sequences(store: Store, parent: Parent, trial: Trial) -> None:
    """Have a picture of the first sequences with a sweep's parent."""
    first = first_sequences(load_splits(trial.config.data))
    patiently(lambda: store.client.log_figure(parent.run_id, first, Artifact.FIRST_SEQUENCES), store.patience)


def carry_out(
    runner: Runner,
    feed: Feed,
    store: Store,
    parent: Parent,
    first: Trial,
    summary: Callable[[Sequence[Trial], Records], str],
    standings: Standings | None = None,
) -> Swept:
    """Train the trials of a feed and close the sweep's parent, however that ends.

    Args:
        first: a trial whose first sequences are kept with the parent.
        summary: makes a table of the trials.
        standings: what a watcher is told of the comparison.

    Raises:
        Interrupted: after a signal.
    """
    limits = Limits(runner.settings, store, parent.run_id, _known_seconds(runner.settings, store))
    with handled() as interruption:
        try:
            _keep_first_sequences(store, parent, first)
            if not feed.done:
                limits.announce()
                drive(feed, runner.pool, store, parent.run_id, runner.settings.retries, limits, standings)
        except BaseException:
            with interruption.deferred(), suppress(DeliveryError):  # what ended the sweep is what counts
                _close(store, parent, feed, completed=False)
            raise
        with interruption.deferred():
            records = _close(store, parent, feed, completed=True, reason=limits.reason)
            known = [records[it.fingerprint] for it in feed.trials if it.fingerprint in records]
            runner.add_to_archive(store, parent, known)
        interruption.raise_if_asked()
    table, report = summary(feed.trials, records), runner.settings.report
    ending = table, limits.reason, report, runner.study, runner.archive
    return Swept(store, parent, feed.trials, feed.outcomes, records, feed.refused, *ending)


def _known_seconds(settings: SweepConfig, store: Store) -> Mapping[str, float]:
    """What trials take, by their shape; only asked where a budget has to be kept."""
    if settings.budget is None:
        return {}
    return seconds_by_shape(patiently(lambda: trial_records(store), store.patience))


def _close(store: Store, parent: Parent, feed: Feed, completed: bool, reason: str = "") -> Records:
    """Give the parent its counts and its status; what the store knows of the trials.

    Args:
        reason: why the sweep ended before its plan was done, on purpose.
    """
    feed.close()
    patiently(lambda: recover(store), store.patience)
    known = patiently(lambda: unpruned(trial_records(store), but_by=parent.run_id), store.patience)
    records = latest_by_fingerprint(known, parent.earlier)
    left, waiting = unfinished(feed.trials, records), queued(feed.trials, feed.outcomes)
    asked = stopped(feed.trials, feed.outcomes, records)
    failed = [it for it in left if it not in asked | waiting and has_failed(it, feed.outcomes, records)]
    on_purpose = not failed and not feed.refused and (reason or set(left) <= asked)
    status = "FINISHED" if not (left or feed.refused) else "SCHEDULED" if waiting else "FAILED"
    status = "KILLED" if not completed or (left and on_purpose and not waiting) else status
    counts = {"finished": len(feed.trials) - len(left), "failed": len(failed) + len(feed.refused)}
    tags = {Tag.STOPPED: reason or f"{counted(len(asked), 'trial')} stopped", Tag.LEFT: str(len(left))}
    tags = tags if left and (reason or asked) else {}
    patiently(lambda: close_parent(store, parent.run_id, counts, status, tags), store.patience)
    if not completed:
        say(f"{counts['finished']} of {counted(len(feed.trials), 'trial')} finished")
    return records


def stopped(trials: Sequence[Trial], outcomes: Mapping[str, Outcome], records: Records) -> set[Trial]:
    """The trials that ended, or never started, because a tag asked for it."""
    told = {fingerprint for fingerprint, outcome in outcomes.items() if outcome.status == "stopped"}
    return {it for it in unfinished(trials, records) if it.fingerprint in told or is_stopped(records, it)}


def has_failed(trial: Trial, outcomes: Mapping[str, Outcome], records: Records) -> bool:
    """Whether a trial that is not finished was started, and ended, in vain."""
    return trial.fingerprint in outcomes or has_status(records, trial, "FAILED")


def queued(trials: Sequence[Trial], outcomes: Mapping[str, Outcome]) -> set[Trial]:
    """The trials that are left in the queue of a launcher."""
    return {it for it in trials if it.fingerprint in outcomes and outcomes[it.fingerprint].status == "queued"}
