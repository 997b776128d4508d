"""Running a search: trials are proposed from the results of earlier ones, under a parent run that outlives a kill."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from typing import Any

from recurrent_cells.data.splits import load_splits
from recurrent_cells.errors import UserError
from recurrent_cells.interrupts import handled
from recurrent_cells.sweeps.grid import Point
from recurrent_cells.sweeps.parent import Parent, open_parent
from recurrent_cells.sweeps.plan import Trial, plan_trials
from recurrent_cells.sweeps.search.outline import Outline, as_json
from recurrent_cells.sweeps.search.proposals import Proposals
from recurrent_cells.sweeps.search.settings import SearchSettings
from recurrent_cells.sweeps.search.space import Space
from recurrent_cells.sweeps.search.study import Study, study_patiently
from recurrent_cells.sweeps.search.summary import known_so_far, summary
from recurrent_cells.sweeps.sweep import Runner, Swept, carry_out
from recurrent_cells.sweeps.view import say
from recurrent_cells.tracking.artifacts import PlanEntry, read_plan, write_search
from recurrent_cells.tracking.parents import ParentRun, find_parent
from recurrent_cells.tracking.patience import patiently
from recurrent_cells.tracking.queries import latest_by_fingerprint, trial_records, unpruned
from recurrent_cells.tracking.store import Store
from recurrent_cells.training.schedule import Schedule


def run_search(space: Space, corners: Sequence[Point], search: SearchSettings, runner: Runner) -> Swept | None:
    """Do what is missing of a search; None after a dry run.

    Raises:
        UserError: if a corner of the space cannot start, with the faults of all; nothing was started.
        Interrupted: after a signal, the running trials having saved their state.
    """
    planned, archived = plan_trials(corners), runner.read_archive()
    evaluations = max(_evaluations(trial) for trial in planned)
    search = search.settled(evaluations)
    store, settings = runner.open_store(), runner.settings
    key = identity(space, search, planned[0], runner.tracking.experiment)
    if len({trial.block for trial in planned}) > 1:
        raise UserError(
            "data blocks do not compete, and some choices of this search change the data; "
            "search on one, or give a grid of them"
        )
    if settings.dry_run:
        print(_dry(store, find_parent(store, key), space, search, settings.rerun))
        return None
    if not runner.pool.waits:
        raise UserError("hydra.launcher.wait=false: a search proposes from trials that have ended; it needs wait=true")
    runner.take_in(store, archived)
    runner.pool.prepare(runner.train, runner.config, store)
    if runner.pool.packs:
        say("a search proposes trials one by one: each trains by itself; packs need hydra/sweeper=grid")
        runner.pool.packs = False
    with handled():
        before = patiently(lambda: find_parent(store, key), store.patience)
        entries = patiently(lambda: _entries(store, before), store.patience)
        name = f"{search.sampler} search {runner.name}"[:250]
        parent = patiently(partial(open_parent, store, [], name, settings.rerun, plan=key), store.patience)
        named = _study_name(key, parent)
        study = study_patiently(store, lambda: Study(store, named, space, search, evaluations))
        if before is not None and parent.round in ("", before.round):
            texts = dict.fromkeys(tuple(entry.varied[key] for key in space.ranges) for entry in entries)
            points = [space.values(dict(zip(space.ranges, values, strict=True))) for values in texts]
            study_patiently(store, lambda: study.restore(points))
        patiently(lambda: write_search(store, parent.run_id, as_json(space, search)), store.patience)
        proposals = Proposals(study, space, search, store, parent, settings.rerun)
        return carry_out(runner, proposals, store, parent, planned[0], partial(summary, search))


def identity(space: Space, search: SearchSettings, first: Trial, experiment: str) -> str:
    """What a search is made of, whatever its number of trials; 16 hexadecimal digits.

    Args:
        first: the trial at the first corner of the space: the config that all share.
    """
    made_of: dict[str, Any] = {"ranges": space.described(), "first": first.fingerprint, "experiment": experiment}
    later = {"seeds": SearchSettings.seeds}  # searches of earlier versions are known again
    made_of |= {key: it for key, it in asdict(search).items() if key != "n_trials" and (key, it) not in later.items()}
    return hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()[:16]


def _study_name(key: str, parent: Parent) -> str:
    """Training all again is another study. It begins with letters: an override of digits alone would be a number."""
    return f"search-{key}-{parent.round}" if parent.round else f"search-{key}"


def _evaluations(trial: Trial) -> int:
    trainer, data = trial.config.trainer, trial.config.data
    schedule = Schedule.from_config(trainer, len(load_splits(data).train), data.batch_size)
    return -(-schedule.total_steps // schedule.eval_every)


def _entries(store: Store, parent: ParentRun | None) -> list[PlanEntry]:
    """The plan kept with a parent, empty if there is none."""
    return [] if parent is None else read_plan(store, parent) or []


def _dry(store: Store, parent: ParentRun | None, space: Space, search: SearchSettings, rerun: str) -> str:
    begins_anew = rerun == "all" and not (parent and parent.open_round)
    entries = [] if begins_anew else _entries(store, parent)
    run_id = None if parent is None else parent.run_id
    records = latest_by_fingerprint(unpruned(trial_records(store), but_by=run_id))
    keys = [*space.ranges, *(["seed"] if search.seeds > 1 else [])]
    rows = []
    for entry in entries:
        record = records.get(entry.fingerprint)
        state = "new" if record is None else "pruned" if record.pruned else record.status.lower()
        rows.append([entry.name, *(entry.varied[key] for key in keys), str(entry.n_params), state])
    tried = len({tuple(entry.varied[key] for key in space.ranges) for entry in entries})
    new = 0 if rerun == "failed" else max(0, Outline(space.ranges, search).proposals - tried)
    return known_so_far([["trial", *keys, "n_params", "state"], *rows], new, search)
