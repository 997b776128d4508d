"""What ends the command of a sweep: a table, a report, and the failures or the champion."""

from collections.abc import Iterator

from recurrent_cells.errors import SweepFailed
from recurrent_cells.paths import command
from recurrent_cells.sweeps.sweep import Records, Swept
from recurrent_cells.sweeps.view import counted, say
from recurrent_cells.tracking.artifacts import log_file
from recurrent_cells.tracking.manifest import local_folder
from recurrent_cells.tracking.names import Artifact
from recurrent_cells.tracking.queries import TrialRecord
from recurrent_cells.tracking.store import Store


def conclude(swept: Swept) -> Records:
    """Print what a sweep came to, write its report and crown its best trial; the records by fingerprint.

    Raises:
        SweepFailed: if a trial is not finished.
    """
    print(swept.summary)
    if swept.queued:
        say(f"{counted(len(swept.queued), 'trial')} in a queue: the same command again collects what has ended by then")
    print(f"\nSee the curves: {command('ui')}")
    if swept.report and not swept.queued:
        from recurrent_cells.reports.write import report_sweep  # here: imports for seconds

        report_sweep(swept.store, swept.parent.run_id)
        if swept.study is not None and swept.archive is not None and len(swept.left) < len(swept.trials):
            from recurrent_cells.reports.study import write_page

            print(f"Study: {write_page(swept.archive, swept.study)}")
    if swept.faulty or swept.refused:
        raise SweepFailed("\n".join(_failures(swept)))
    if swept.stopped and swept.left:
        say(f"{swept.stopped}; {counted(len(swept.left), 'trial')} left, with which the same command goes on")
    elif swept.left and not swept.queued:
        say(f"{counted(len(swept.left), 'trial')} stopped; sweep.rerun=stopped goes on with what was stopped")
    if all(trial.config.registry for trial in swept.trials) and not swept.left:
        from recurrent_cells.inference.champion import crown_best  # here: imports for seconds

        crown_best(swept.store, [swept.records[trial.fingerprint] for trial in swept.trials])
    return swept.records


def _failures(swept: Swept) -> Iterator[str]:
    if swept.stopped:
        yield swept.stopped
    yield f"{counted(len(swept.faulty) + len(swept.refused), 'trial')} not finished:"
    yield from (f"  {line}" for line in swept.refused)
    for trial in swept.faulty:
        outcome, record = swept.outcomes.get(trial.fingerprint), swept.records.get(trial.fingerprint)
        reason = (outcome.error if outcome else "") or (record.error if record else "") or "not started"
        yield f"  {trial.label}: {reason}"
        if log := _log_of(record, swept.store) or (outcome.log if outcome else ""):
            yield f"    log: {log}"
    yield "The same command goes on with them."


def _log_of(record: TrialRecord | None, store: Store) -> str:
    """The log file of a run, while the run is under way or with its artifacts; empty if there is none."""
    if record is None:
        return ""
    found = log_file(store, record)
    if found is None and local_folder(record.artifact_uri) is None:
        return f"{record.artifact_uri}/{Artifact.LOG}"
    return str(found or "")
