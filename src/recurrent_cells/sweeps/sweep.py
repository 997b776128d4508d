"""Running a sweep: leave out the finished trials, launch the rest, tell what became of them."""

import random
import statistics
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from hydra.plugins.launcher import Launcher

from recurrent_cells.config.schema import SweepConfig, TrackingConfig
from recurrent_cells.data.splits import load_splits
from recurrent_cells.errors import DeliveryError, SweepFailed
from recurrent_cells.interrupts import Interruption, handled
from recurrent_cells.sweeps.grid import Point
from recurrent_cells.sweeps.parent import Parent, close_parent, open_parent
from recurrent_cells.sweeps.plan import Trial, plan_trials, shortened
from recurrent_cells.sweeps.pools.planned import PlannedLauncher
from recurrent_cells.sweeps.summary import summary, table
from recurrent_cells.sweeps.view import rounded, say
from recurrent_cells.tracking.names import Artifact, Tag
from recurrent_cells.tracking.patience import patiently
from recurrent_cells.tracking.queries import TrialRecord, latest_by_fingerprint, trial_records, unpruned
from recurrent_cells.tracking.recovery import at_work, recover
from recurrent_cells.tracking.store import Store, open_store
from recurrent_cells.training.artifacts import first_digits
from recurrent_cells.trial.claim import is_claimed
from recurrent_cells.trial.outcome import Outcome, outcome_of

# Between two limits, so that two machines that gave way to each other do not again.
SECONDS_TO_WAIT_FOR_OTHERS = (0.5, 1.5)

# What the store knows of trials, by fingerprint.
Records = dict[str, TrialRecord]


def run_sweep(
    points: Sequence[Point], launcher: Launcher, settings: SweepConfig, tracking: TrackingConfig, name: str
) -> Records:
    """Do what is missing of a sweep; the records of its trials by fingerprint.

    Raises:
        UserError: if some trial cannot start, with the faults of all; none was started.
        SweepFailed: if a trial is not finished at the end.
        Interrupted: after a signal, the running trials having saved their state.
    """
    trials = plan_trials(points)
    if remark := shortened(trials):
        say(remark)
    store = open_store(tracking.experiment, tracking.patience)
    recover(store)
    everything = trial_records(store)
    records = latest_by_fingerprint(unpruned(everything))
    if settings.dry_run:
        since = _now() if settings.rerun == "all" else 0
        _print_plan(trials, _to_run(trials, records, settings.rerun, since), records, everything)
        return records
    if isinstance(launcher, PlannedLauncher):
        launcher.prepare()
    with handled() as interruption:
        parent = open_parent(store, trials, name, again=settings.rerun == "all")
        show_digits(store, parent, trials[0])
        todo = _to_run(trials, records, settings.rerun, parent.since)
        if len(todo) < len(trials):
            say(f"{len(trials) - len(todo)} of {len(trials)} trials are left out")
        outcomes: dict[str, Outcome] = {}
        records = carry_out(
            lambda: _launch_until_done(launcher, store, todo, settings.retries, parent, outcomes),
            lambda completed: close(store, parent, trials, outcomes, completed),
            interruption,
        )
    print(summary(trials, records))
    conclude(store, parent, trials, outcomes, records, settings.report)
    return records


def show_digits(store: Store, parent: Parent, trial: Trial) -> None:
    """Keep the first images of a sweep with its parent."""
    digits = first_digits(load_splits(trial.config.data))
    patiently(lambda: store.client.log_figure(parent.run_id, digits, Artifact.FIRST_DIGITS), store.patience)


def carry_out(work: Callable[[], None], close: Callable[[bool], Records], interruption: Interruption) -> Records:
    """Do the work of a sweep and close it, however the work ends; what `close(completed)` gives."""
    try:
        work()
    except BaseException:
        with interruption.deferred(), suppress(DeliveryError):  # what ended the sweep is what counts
            close(False)
        raise
    with interruption.deferred():
        records = close(True)
    interruption.raise_if_asked()
    return records


def conclude(
    store: Store,
    parent: Parent,
    trials: Sequence[Trial],
    outcomes: Mapping[str, Outcome],
    records: Records,
    report: bool,
    refused: Sequence[str] = (),
) -> None:
    """The report, and what did not finish or the champion.

    Args:
        refused: lines on trials that have no config.

    Raises:
        SweepFailed: if a trial is not finished.
    """
    print("\nSee the curves: make ui")
    if report:
        from recurrent_cells.reports.write import report_sweep  # here: drawing is needed at the end alone

        report_sweep(store, parent.run_id)
    unfinished = [trial for trial in trials if not is_finished(records.get(trial.fingerprint), parent.since)]
    if unfinished or refused:
        raise SweepFailed(_failures(unfinished, outcomes, records, store, refused))
    if all(trial.config.registry for trial in trials):
        from recurrent_cells.inference.champion import crown_best  # here: needed at the end alone

        crown_best(store, [records[trial.fingerprint] for trial in trials])


def _launch_until_done(
    launcher: Launcher, store: Store, todo: list[Trial], retries: int, parent: Parent, outcomes: dict[str, Outcome]
) -> None:
    """Launch trials, again those that were killed, and wait for those that other processes train."""
    deaths: Counter[str] = Counter()
    number, waiting = 0, False
    todo = sorted(todo, key=lambda trial: -trial.work)  # so that no long one is left alone at the end
    while todo:
        elsewhere = patiently(lambda: at_work(store), store.patience)
        free = [it for it in todo if it.fingerprint not in elsewhere and not is_claimed(store, it.fingerprint)]
        if not free:
            if not waiting:
                say(f"waiting for {len(todo)} {_trials(len(todo))} that other processes train")
            waiting = True
            time.sleep(random.uniform(*SECONDS_TO_WAIT_FOR_OTHERS))
            continue
        store.disconnect()
        jobs = [trial.below(parent.run_id, parent.since) for trial in free]
        if isinstance(launcher, PlannedLauncher):
            launcher.trials = jobs
        returns = launcher.launch([list(job.overrides) for job in jobs], initial_job_idx=number)
        number += len(free)
        again = []
        for trial, job in zip(free, returns, strict=True):
            outcome = outcomes[trial.fingerprint] = outcome_of(job)
            deaths[trial.fingerprint] += outcome.status == "killed"
            if outcome.status == "busy" or (outcome.status == "killed" and deaths[trial.fingerprint] <= retries):
                again.append(trial)
        patiently(lambda: recover(store), store.patience)  # a run whose process was killed can then be continued
        if any(outcomes[trial.fingerprint].status == "busy" for trial in again):
            time.sleep(random.uniform(*SECONDS_TO_WAIT_FOR_OTHERS))
        launched = {trial.fingerprint for trial in free}
        todo = [trial for trial in todo if trial.fingerprint not in launched] + again


def close(
    store: Store,
    parent: Parent,
    trials: Sequence[Trial],
    outcomes: Mapping[str, Outcome],
    completed: bool,
    refused: int = 0,
) -> Records:
    """Give the parent its counts and its status; what the store knows of the trials."""
    patiently(lambda: recover(store), store.patience)
    records = patiently(lambda: _known(store, parent.run_id), store.patience)
    unfinished = [trial for trial in trials if not is_finished(records.get(trial.fingerprint), parent.since)]
    failed = [trial for trial in unfinished if trial.fingerprint in outcomes or _has_failed(records, trial)]
    status = "KILLED" if not completed else "FAILED" if unfinished or refused else "FINISHED"
    counts = {"finished": len(trials) - len(unfinished), "failed": len(failed) + refused}
    patiently(lambda: close_parent(store, parent.run_id, counts, status), store.patience)
    if not completed:
        say(f"{counts['finished']} of {len(trials)} {_trials(len(trials))} finished")
    return records


def _known(store: Store, parent: str | None = None) -> Records:
    return latest_by_fingerprint(unpruned(trial_records(store), but_by=parent))


def _now() -> int:
    return int(time.time() * 1000)


def is_finished(record: TrialRecord | None, since: int = 0) -> bool:
    return record is not None and record.status == "FINISHED" and record.end_time >= since


def _to_run(trials: Sequence[Trial], records: Mapping[str, TrialRecord], rerun: str, since: int) -> list[Trial]:
    """`missing`, `all`: those without a FINISHED run (since the rerun began); `failed`: whose last run is FAILED."""
    left = [trial for trial in trials if not is_finished(records.get(trial.fingerprint), since)]
    return [trial for trial in left if _has_failed(records, trial)] if rerun == "failed" else left


def _has_failed(records: Mapping[str, TrialRecord], trial: Trial) -> bool:
    record = records.get(trial.fingerprint)
    return record is not None and record.status == "FAILED"


def _trials(count: int) -> str:
    return "trial" if count == 1 else "trials"


def _failures(
    unfinished: Sequence[Trial],
    outcomes: Mapping[str, Outcome],
    records: Mapping[str, TrialRecord],
    store: Store,
    refused: Sequence[str],
) -> str:
    count = len(unfinished) + len(refused)
    lines = [f"{count} {_trials(count)} not finished:", *(f"  {line}" for line in refused)]
    for trial in unfinished:
        outcome, record = outcomes.get(trial.fingerprint), records.get(trial.fingerprint)
        reason = (outcome.error if outcome else "") or (record.error if record else "") or "not started"
        lines.append(f"  {trial.label}: {reason}")
        log = next((path for path in (_log_of(record, store), outcome.log if outcome else "") if path), "")
        if log:
            lines.append(f"    log: {log}")
    lines.append("The same command goes on with them.")
    return "\n".join(lines)


def _log_of(record: TrialRecord | None, store: Store) -> str:
    """The log file of a run, while it is under way or once it is with its artifacts; empty if it left none."""
    if record is None:
        return ""
    artifacts = store.trial_folder(record.run_id) / "artifacts", Path(record.artifact_uri.removeprefix("file://"))
    found = next((folder / Artifact.LOG for folder in artifacts if (folder / Artifact.LOG).exists()), None)
    if found is None and not record.artifact_uri.startswith(("file:", "/")):
        return f"{record.artifact_uri}/{Artifact.LOG}"
    return str(found or "")


def _print_plan(
    trials: Sequence[Trial],
    todo: Sequence[Trial],
    records: Mapping[str, TrialRecord],
    everything: Sequence[TrialRecord],
) -> None:
    seconds_by_shape: dict[str, list[float]] = defaultdict(list)
    for finished in unpruned(everything):
        if finished.status == "FINISHED" and finished.seconds is not None and Tag.SHAPE in finished.tags:
            seconds_by_shape[finished.tags[Tag.SHAPE]].append(finished.seconds)
    seconds = {shape: statistics.median(known) for shape, known in seconds_by_shape.items()}
    planned = {trial.fingerprint for trial in todo}
    keys = list(trials[0].varied)
    rows = [["trial", *keys, "n_params", "state", "estimated seconds"]]
    for trial in trials:
        record = records.get(trial.fingerprint)
        state = record.status.lower() if record else "new"
        is_estimated = trial.shape in seconds and trial.fingerprint in planned
        estimate = f"{seconds[trial.shape]:.1f}" if is_estimated else "-"
        rows.append([trial.name, *(trial.varied[key] for key in keys), f"{trial.n_params}", state, estimate])
    print("\n".join(table(rows)))
    known_seconds = [seconds[trial.shape] for trial in todo if trial.shape in seconds]
    total = f", about {rounded(sum(known_seconds))} one after another" if len(known_seconds) == len(todo) != 0 else ""
    counts = f"{len(trials) - len(todo)} to be left out, {len(todo)} to run"
    print(f"{len(trials)} {_trials(len(trials))}, {counts}{total}; nothing started")
