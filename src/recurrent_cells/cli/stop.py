"""Stop a trial, or a sweep after the trials that run: run=RUN_ID or sweep=latest [skip=FINGERPRINT] [reason=TEXT]."""

from collections.abc import Sequence

from recurrent_cells.cli.arguments import Arguments, run_command
from recurrent_cells.config.schema import EXPERIMENT
from recurrent_cells.errors import UserError

KEYS = {
    "run": "a trial's run id or its beginning: the trial saves its state and ends",
    "sweep": "latest, or a sweep's run id or its beginning: no more of its trials start",
    "skip": "with sweep=, in place of stopping: the fingerprint of a trial to leave out, or its beginning",
    "reason": "why, as the runs that stop will show it",
}


def main(arguments: Sequence[str]) -> None:
    """Set the tag that asks for it; exits with 2 where there is nothing to stop."""
    run_command(__doc__, KEYS, arguments, _stop)


def _stop(arguments: Arguments) -> None:
    from recurrent_cells.sweeps.results import read_sweeps
    from recurrent_cells.tracking.liveness import cause_of_death
    from recurrent_cells.tracking.queries import find_trial
    from recurrent_cells.tracking.status import UNDER_WAY
    from recurrent_cells.tracking.steering import ask_to_skip, ask_to_stop
    from recurrent_cells.tracking.store import open_store

    run, sweep, skip = (arguments.get(key) for key in ("run", "sweep", "skip"))
    reason = arguments.get("reason") or "by src.stop"
    if (run is None) == (sweep is None) or (skip and run):
        raise UserError("allowed is run=RUN_ID, sweep=latest, or sweep=latest skip=FINGERPRINT")
    store = open_store(EXPERIMENT, existing=True)
    if run is not None:
        trial = find_trial(store, run, "run")
        if trial.status != "RUNNING":
            raise UserError(f"run={run}: {trial.name} is {trial.status}; only a trial that runs can be stopped")
        if death := cause_of_death(store, trial.run_id, trial.tags):
            raise UserError(f"run={run}: {trial.name} does not run any more ({death}); its command goes on with it")
        ask_to_stop(store, trial.run_id, reason)
        print(f"{trial.name} saves its state and ends within seconds; its command goes on with it")
        return
    store, data = read_sweeps(store, str(sweep))
    (parent,) = data.sweeps
    if skip is not None:
        found = [it for it in data.trials if it.fingerprint.startswith(skip)]
        if len(found) != 1:
            raise UserError(f"skip={skip}: {len(found)} trials of the sweep begin so; sweep.dry_run=true lists them")
        if found[0].record is not None:
            raise UserError(
                f"skip={skip}: {found[0].name} is {found[0].state}; only a trial without a run can be skipped"
            )
        ask_to_skip(store, parent.run_id, found[0].fingerprint, reason)
        print(f"{found[0].name} is left out")
        return
    if parent.status not in UNDER_WAY:
        raise UserError(
            f"sweep={sweep}: {parent.name} is {parent.status}; only a sweep that runs or waits can be stopped"
        )
    ask_to_stop(store, parent.run_id, reason)
    print(f"{parent.name} starts no more trials; those that run go on to their ends, its command with the rest")
