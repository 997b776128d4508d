"""What the buttons of the page do: each sets a tag, as anyone may from elsewhere."""

from collections.abc import Callable, Mapping
from typing import Any

from recurrent_cells.serving.base import BadRequest
from recurrent_cells.serving.watch.sweep import WatchedSweep
from recurrent_cells.statistics.looks import planned_looks
from recurrent_cells.sweeps.results import PlannedTrial
from recurrent_cells.tracking.status import UNDER_WAY
from recurrent_cells.tracking.steering import ask_for_seeds, ask_to_skip, ask_to_stop

REASON = "from the page"
MOST_SEEDS = 1000


def act(sweep: WatchedSweep, action: Mapping[str, Any]) -> str:
    """Do what a button asks for; what follows from it, in words.

    Args:
        action: `do`, one of ACTIONS, and what that needs: `trial`, a fingerprint; `most`, a number of seeds.

    Raises:
        BadRequest: if it cannot be done.
    """
    sweep.look(at_once=True)
    name = action.get("do")
    if not isinstance(name, str) or name not in ACTIONS:
        raise BadRequest(400, f"do: allowed are {', '.join(ACTIONS)}")
    if sweep.store.original is not None:
        raise BadRequest(409, f"the store {sweep.store.address} cannot be written")
    words = ACTIONS[name](sweep, action)
    sweep.look(at_once=True)
    return words


def _stop(sweep: WatchedSweep, action: Mapping[str, Any]) -> str:
    trial = _trial(sweep, action)
    record = sweep.record(trial)
    if record is None or record.status != "RUNNING":
        raise BadRequest(409, f"{trial.name} is {trial.state}; only a trial that runs can be stopped")
    ask_to_stop(sweep.store, record.run_id, REASON)
    return f"{trial.name} saves its state and ends within seconds; sweep.rerun=stopped goes on with it."


def _skip(sweep: WatchedSweep, action: Mapping[str, Any]) -> str:
    trial = _trial(sweep, action)
    if trial.record is not None:
        raise BadRequest(409, f"{trial.name} is {trial.state}; only a trial without a run can be skipped")
    ask_to_skip(sweep.store, sweep.parent.run_id, trial.fingerprint, REASON)
    return f"{trial.name} is left out."


def _stop_sweep(sweep: WatchedSweep, _: Mapping[str, Any]) -> str:
    if sweep.parent.status not in UNDER_WAY:
        raise BadRequest(409, f"the sweep is {sweep.parent.status}; only one that runs or waits can be stopped")
    ask_to_stop(sweep.store, sweep.parent.run_id, REASON)
    return "No more trials start; those that run go on to their ends, and the same command with the rest."


def _add_seeds(sweep: WatchedSweep, action: Mapping[str, Any]) -> str:
    most = action.get("most")
    if not isinstance(most, int) or isinstance(most, bool) or not 2 <= most <= MOST_SEEDS:
        raise BadRequest(400, f"most: allowed is a number of seeds from 2 to {MOST_SEEDS:,}")
    if not sweep.seeds.can_add:
        raise BadRequest(409, sweep.seeds.words or "no seeds can be added to this sweep")
    planned = sweep.seeds.planned
    if len(planned_looks(planned, most)) < 2:
        next_look = planned_looks(planned, MOST_SEEDS)[1:2]
        raise BadRequest(400, f"most: after {planned} seeds the next look is at {', '.join(map(str, next_look))}")
    ask_for_seeds(sweep.store, sweep.parent.run_id, most)
    return f"The sweep is asked for more seeds, at most {most} of a configuration."


ACTIONS: Mapping[str, Callable[[WatchedSweep, Mapping[str, Any]], str]] = {
    "stop": _stop,
    "skip": _skip,
    "stop-sweep": _stop_sweep,
    "add-seeds": _add_seeds,
}


def _trial(sweep: WatchedSweep, action: Mapping[str, Any]) -> PlannedTrial:
    fingerprint = action.get("trial")
    found = sweep.trials.get(fingerprint) if isinstance(fingerprint, str) else None
    if found is None:
        raise BadRequest(404, "trial: no trial of this sweep has that fingerprint")
    return found
