"""Running a search: trials proposed by what those before came to, under one parent, gone on with after any kill."""

import hashlib
import json
import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from hydra.plugins.launcher import Launcher

from recurrent_cells.config.schema import SweepConfig, TrackingConfig
from recurrent_cells.data.splits import load_splits
from recurrent_cells.interrupts import handled
from recurrent_cells.sweeps.grid import Point
from recurrent_cells.sweeps.parent import Parent, open_parent
from recurrent_cells.sweeps.plan import Trial, plan_trials
from recurrent_cells.sweeps.pools.feed import FedLauncher, Feed
from recurrent_cells.sweeps.pools.planned import PlannedLauncher
from recurrent_cells.sweeps.search.outline import as_json
from recurrent_cells.sweeps.search.proposals import SECONDS_BETWEEN_LOOKS, Proposals
from recurrent_cells.sweeps.search.settings import SearchSettings
from recurrent_cells.sweeps.search.space import Space
from recurrent_cells.sweeps.search.study import Study
from recurrent_cells.sweeps.search.summary import known_so_far, summary
from recurrent_cells.sweeps.sweep import Records, carry_out, close, conclude, show_digits
from recurrent_cells.tracking.artifacts import PlanEntry, read_plan, write_search
from recurrent_cells.tracking.parents import ParentRun, find_parent
from recurrent_cells.tracking.patience import patiently
from recurrent_cells.tracking.queries import latest_by_fingerprint, trial_records, unpruned
from recurrent_cells.tracking.recovery import recover
from recurrent_cells.tracking.store import Store, open_store
from recurrent_cells.training.schedule import Schedule
from recurrent_cells.trial.outcome import outcome_of


def run_search(
    space: Space,
    corners: Sequence[Point],
    search: SearchSettings,
    launcher: Launcher,
    settings: SweepConfig,
    tracking: TrackingConfig,
    name: str,
) -> Records:
    """Do what is missing of a search; the records of its trials by fingerprint.

    Raises:
        UserError: if a corner of the space cannot start, with the faults of all; nothing was started.
        SweepFailed: if a trial is not finished at the end.
        Interrupted: after a signal, the running trials having saved their state.
    """
    planned = plan_trials(corners)
    store = open_store(tracking.experiment, tracking.patience)
    recover(store)
    key = identity(space, search, planned[0], tracking.experiment)
    if settings.dry_run:
        print(_dry(store, find_parent(store, key), space, search))
        return {}
    if isinstance(launcher, PlannedLauncher):
        launcher.prepare()
    with handled() as interruption:
        before = find_parent(store, key)
        planned_before = _entries(store, before)
        parent = open_parent(store, [], f"{search.sampler} search {name}"[:250], settings.rerun == "all", plan=key)
        study = Study(store, _study_name(key, parent), space, search, max(_evaluations(trial) for trial in planned))
        if before is not None and parent.since in (0, before.since):
            study.restore([space.values(entry.varied) for entry in planned_before])
        _outline(store, parent, space, search)
        show_digits(store, parent, planned[0])
        proposals = Proposals(study, space, search, settings, store, parent)

        def close_search(completed: bool) -> Records:
            proposals.read()
            trials, refused = list(proposals.trials.values()), len(proposals.refused)
            return close(store, parent, trials, proposals.outcomes, completed, refused)

        records = carry_out(lambda: run_jobs(launcher, proposals, store), close_search, interruption)
    trials = list(proposals.trials.values())
    print(summary(trials, records, search))
    refused = [f"point {point}: {error}" for point, error in proposals.refused.items()]
    conclude(store, parent, trials, proposals.outcomes, records, settings.report, refused)
    return records


def identity(space: Space, search: SearchSettings, first: Trial, experiment: str) -> str:
    """What a search is made of, whatever its number of trials; 16 hexadecimal digits.

    Args:
        first: the trial at the first corner of the space: the config that all share.
    """
    made_of: dict[str, Any] = {"ranges": space.described(), "first": first.fingerprint, "experiment": experiment}
    made_of |= {key: value for key, value in asdict(search).items() if key != "n_trials"}
    return hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()[:16]


def run_jobs(launcher: Launcher, jobs: Feed, store: Store) -> None:
    """Have a launcher run what a feed gives: as slots become free, or one by one where it takes lists only."""
    if isinstance(launcher, FedLauncher):
        store.disconnect()
        launcher.feed(jobs)
        return
    number = 0
    while not jobs.done:
        job = jobs.next()
        if job is None:
            time.sleep(SECONDS_BETWEEN_LOOKS)
            continue
        (returned,) = launcher.launch([list(job.overrides)], initial_job_idx=number)
        number += 1
        jobs.ended(job, outcome_of(returned))


def _study_name(key: str, parent: Parent) -> str:
    """Training all again is another study. It begins with letters: an override of digits alone would be a number."""
    return f"search-{key}-{parent.since}" if parent.since else f"search-{key}"


def _evaluations(trial: Trial) -> int:
    trainer, data = trial.config.trainer, trial.config.data
    schedule = Schedule.from_config(trainer, len(load_splits(data).train), data.batch_size)
    return -(-schedule.total_steps // schedule.eval_every)


def _entries(store: Store, parent: ParentRun | None) -> list[PlanEntry]:
    """The plan kept with a parent, empty if there is none."""
    return [] if parent is None else read_plan(store, parent) or []


def _outline(store: Store, parent: Parent, space: Space, search: SearchSettings) -> None:
    text = as_json(space, search)
    patiently(lambda: write_search(store, parent.run_id, text), store.patience)


def _dry(store: Store, parent: ParentRun | None, space: Space, search: SearchSettings) -> str:
    entries = _entries(store, parent)
    run_id = None if parent is None else parent.run_id
    records = latest_by_fingerprint(unpruned(trial_records(store), but_by=run_id))
    rows = []
    for entry in entries:
        record = records.get(entry.fingerprint)
        state = "new" if record is None else "pruned" if record.pruned else record.status.lower()
        rows.append([entry.name, *entry.varied.values(), str(entry.n_params), state])
    return known_so_far([["trial", *space.ranges, "n_params", "state"], *rows], search)
