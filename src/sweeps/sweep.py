"""Running a sweep: leave out the finished trials, launch the rest, tell what became of them."""

import statistics
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from hydra.plugins.launcher import Launcher

from src.config import SweepConfig, TrackingConfig
from src.errors import SweepFailed
from src.sweeps.grid import Point
from src.sweeps.launcher import outcome_of
from src.sweeps.outcome import Outcome
from src.sweeps.parent import close_parent, open_parent
from src.sweeps.plan import Trial, plan_trials
from src.sweeps.summary import summary, table
from src.tracking.patience import patiently
from src.tracking.queries import TrialRecord, latest_by_fingerprint, trial_records
from src.tracking.recovery import recover
from src.tracking.store import Store, open_store

SECONDS_TO_WAIT_FOR_OTHERS = 1.0


def run_sweep(
    points: Sequence[Point], launcher: Launcher, settings: SweepConfig, tracking: TrackingConfig, name: str
) -> dict[str, TrialRecord]:
    """Do what is missing of a sweep; the records of its trials by fingerprint.

    Raises:
        UserError: if some trial cannot start, with the faults of all; none was started.
        SweepFailed: if a trial is not finished at the end.
        Interrupted: after a signal, the running trials having saved their state.
    """
    trials = plan_trials(points)
    store = open_store(tracking.experiment, tracking.patience)
    recover(store)
    records = _known(store)
    todo = _to_run(trials, records, settings.rerun)
    if settings.dry_run:
        _print_plan(trials, todo, records, store)
        return records
    since = _now() if settings.rerun == "all" else 0
    parent = open_parent(store, trials, name)
    if len(todo) < len(trials):
        print(f"{len(trials) - len(todo)} of {len(trials)} trials are left out", file=sys.stderr)
    outcomes: dict[str, Outcome] = {}
    completed = False
    try:
        outcomes = _launch_until_done(launcher, store, todo, settings.retries, parent, since)
        completed = True
    finally:
        records = patiently(lambda: _known(store), store.patience)
        unfinished = [trial for trial in trials if not _is_finished(records.get(trial.fingerprint), since)]
        status = "KILLED" if not completed else "FAILED" if unfinished else "FINISHED"
        counts = {"finished": len(trials) - len(unfinished), "failed": len(unfinished) if completed else 0}
        patiently(lambda: close_parent(store, parent, counts, status), store.patience)
    print(summary(trials, records))
    print("\nSee the curves: make ui")
    if unfinished:
        raise SweepFailed(_failures(unfinished, outcomes, records, store))
    return records


def _launch_until_done(
    launcher: Launcher, store: Store, todo: list[Trial], retries: int, parent: str, since: int
) -> dict[str, Outcome]:
    """Launch trials, again those that were killed, and wait for those that other processes train."""
    outcomes: dict[str, Outcome] = {}
    deaths: Counter[str] = Counter()
    number = 0
    while todo:
        store.disconnect()
        jobs = [[*trial.overrides, f"sweep.parent={parent}"] for trial in todo]
        returns = launcher.launch(jobs, initial_job_idx=number)
        number += len(jobs)
        again = []
        for trial, job in zip(todo, returns, strict=True):
            outcome = outcome_of(job)
            outcomes[trial.fingerprint] = outcome
            deaths[trial.fingerprint] += outcome.status == "killed"
            if outcome.status == "busy" or (outcome.status == "killed" and deaths[trial.fingerprint] <= retries):
                again.append(trial)
        patiently(lambda: recover(store), store.patience)
        records = patiently(lambda: _known(store), store.patience)
        if any(outcomes[trial.fingerprint].status == "busy" for trial in again):
            time.sleep(SECONDS_TO_WAIT_FOR_OTHERS)
        todo = [trial for trial in again if not _is_finished(records.get(trial.fingerprint), since)]
    return outcomes


def _known(store: Store) -> dict[str, TrialRecord]:
    return latest_by_fingerprint(trial_records(store))


def _now() -> int:
    return int(time.time() * 1000)


def _is_finished(record: TrialRecord | None, since: int = 0) -> bool:
    return record is not None and record.status == "FINISHED" and record.end_time >= since


def _to_run(trials: Sequence[Trial], records: Mapping[str, TrialRecord], rerun: str) -> list[Trial]:
    """`missing`: all without a FINISHED run; `failed`: those whose last run is FAILED; `all`: all."""
    if rerun == "all":
        return list(trials)
    left = [trial for trial in trials if not _is_finished(records.get(trial.fingerprint))]
    if rerun == "missing":
        return left
    return [trial for trial in left if _has_failed(records.get(trial.fingerprint))]


def _has_failed(record: TrialRecord | None) -> bool:
    return record is not None and record.status == "FAILED"


def _failures(
    unfinished: Sequence[Trial],
    outcomes: Mapping[str, Outcome],
    records: Mapping[str, TrialRecord],
    store: Store,
) -> str:
    lines = [f"{len(unfinished)} {'trial is' if len(unfinished) == 1 else 'trials are'} not finished:"]
    for trial in unfinished:
        outcome, record = outcomes.get(trial.fingerprint), records.get(trial.fingerprint)
        reason = (outcome.error if outcome else "") or (record.error if record else "") or "not started"
        lines.append(f"  {trial.name} ({' '.join(f'{k}={v}' for k, v in trial.varied.items())}): {reason}")
        log = _log_path(record, store) or (outcome.log if outcome else "")
        if log:
            lines.append(f"    log: {log}")
    lines.append("The same command goes on with them.")
    return "\n".join(lines)


def _log_path(record: TrialRecord | None, store: Store) -> str:
    if record is None:
        return ""
    local = store.trial_folder(record.run_id) / "artifacts" / "train.log"
    return str(local) if local.exists() else f"{record.artifact_uri}/train.log".removeprefix("file://")


def _print_plan(
    trials: Sequence[Trial], todo: Sequence[Trial], records: Mapping[str, TrialRecord], store: Store
) -> None:
    seconds_by_shape: dict[str, list[float]] = defaultdict(list)
    for finished in trial_records(store, "attributes.status = 'FINISHED'"):
        if finished.seconds is not None and "shape" in finished.tags:
            seconds_by_shape[finished.tags["shape"]].append(finished.seconds)
    planned = {trial.fingerprint for trial in todo}
    keys = list(trials[0].varied)
    rows = [["trial", *keys, "n_params", "state", "estimated seconds"]]
    for trial in trials:
        record = records.get(trial.fingerprint)
        state = record.status.lower() if record else "new"
        known = seconds_by_shape.get(trial.shape)
        estimate = f"{statistics.median(known):.1f}" if known and trial.fingerprint in planned else "-"
        rows.append([trial.name, *(trial.varied[key] for key in keys), f"{trial.n_params}", state, estimate])
    print("\n".join(table(rows)))
    known_seconds = [statistics.median(seconds_by_shape[t.shape]) for t in todo if t.shape in seconds_by_shape]
    total = f", about {sum(known_seconds):.0f} s one after another" if len(known_seconds) == len(todo) != 0 else ""
    print(f"{len(trials)} trials, {len(trials) - len(todo)} to be left out, {len(todo)} to run{total}; nothing started")
