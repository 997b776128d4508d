"""What a sweep is going to do, told before anything starts and without what only training imports."""

from collections.abc import Collection, Mapping, Sequence
from statistics import median

from recurrent_cells.config.schema import SweepConfig
from recurrent_cells.paths import of_user
from recurrent_cells.sweeps.grid import Point
from recurrent_cells.sweeps.plan import Trial, plan_trials, shortened, to_run
from recurrent_cells.sweeps.view import counted, rounded, say, table
from recurrent_cells.tracking.names import Tag
from recurrent_cells.tracking.queries import DAMAGED, TrialRecord, latest_by_fingerprint, trial_records, unpruned
from recurrent_cells.tracking.store import Store, open_existing


def plan_sweep(
    points: Sequence[Point], tuning: Sequence[Point], settings: SweepConfig
) -> tuple[list[Trial], list[Trial]]:
    """The trials of a sweep and those of its first phase, which may be none.

    Raises:
        UserError: if some trial cannot start, with the faults of all, or what the sweep decides cannot be decided.
    """
    trials, first_phase = plan_trials(points), plan_trials(tuning) if tuning else []
    if first_phase:
        from recurrent_cells.sweeps.phases import check_phases

        check_phases(first_phase, trials)
    if settings.until == "decided":
        from recurrent_cells.sweeps.looks import check_first_look

        check_first_look(trials, settings)
    if remark := shortened(trials):
        say(remark)
    return trials, first_phase


def show_sweep(points: Sequence[Point], tuning: Sequence[Point], settings: SweepConfig, experiment: str) -> None:
    """Print a sweep's trials; raises as `plan_sweep`."""
    trials, first_phase = plan_sweep(points, tuning, settings)
    archived: set[str] = set()
    if settings.archive is not None:
        from recurrent_cells.tracking.archived import read_archive

        archived = {trial.fingerprint for trial in read_archive(of_user(settings.archive))}
    print(outlook([*first_phase, *trials], experiment, settings.rerun, archived))
    if first_phase:
        print("of the second phase only the settings that the first phase chooses are trained")
    if settings.until == "decided":
        print(f"while a pair is open seeds are added, up to sweep.max_seeds={settings.max_seeds}")


def outlook(trials: Sequence[Trial], experiment: str, rerun: str, archived: Collection[str] = ()) -> str:
    """Each trial with its state in the store and, from runs of its shape, its estimated time.

    Args:
        archived: fingerprints of trials that count as finished though the store may not have them.
    """
    known = _known(open_existing(experiment))
    records = latest_by_fingerprint(known)
    missing = (it for it in to_run(trials, records, rerun) if it.fingerprint not in archived)
    todo = trials if rerun == "all" else list(missing)
    seconds = seconds_by_shape(known)
    planned = {trial.fingerprint for trial in todo}
    keys = list(dict.fromkeys(key for trial in trials for key in trial.varied))
    rows = [["trial", *keys, "n_params", "state", "estimated seconds"]]
    for trial in trials:
        state = "finished" if trial.fingerprint in archived else _state(trial, records)
        is_estimated = trial.shape in seconds and trial.fingerprint in planned
        estimate = f"{seconds[trial.shape]:.1f}" if is_estimated else "-"
        rows.append([trial.name, *(trial.varied.get(key, "-") for key in keys), f"{trial.n_params}", state, estimate])
    estimates = [seconds[trial.shape] for trial in todo if trial.shape in seconds]
    total = f", about {rounded(sum(estimates))} one after another" if len(estimates) == len(todo) != 0 else ""
    counts = f"{len(trials) - len(todo)} to be left out, {len(todo)} to run"
    return "\n".join([*table(rows), f"{counted(len(trials), 'trial')}, {counts}{total}; nothing started"])


def seconds_by_shape(records: Sequence[TrialRecord]) -> dict[str, float]:
    """The median time of finished trials by their shape."""
    seconds: dict[str, list[float]] = {}
    for record in records:
        if record.status == "FINISHED" and record.seconds is not None and Tag.SHAPE in record.tags:
            seconds.setdefault(record.tags[Tag.SHAPE], []).append(record.seconds)
    return {shape: median(found) for shape, found in seconds.items()}


def _state(trial: Trial, records: Mapping[str, TrialRecord]) -> str:
    return records[trial.fingerprint].status.lower() if trial.fingerprint in records else "new"


def _known(store: Store | None) -> list[TrialRecord]:
    """What a store knows of trials that count, with true statuses."""
    if store is None:
        return []
    records = trial_records(store)
    is_under_way = any((store.folder / "trials").iterdir()) or any(it.status in ("RUNNING", DAMAGED) for it in records)
    if is_under_way and store.original is None:
        from recurrent_cells.tracking.recovery import settle

        settle(store)
        records = trial_records(store)
    return unpruned(records)
