"""The command: python -m src.stop run=… or sweep=… [skip=…] [reason=…]."""

import pytest

from recurrent_cells.cli.stop import main
from recurrent_cells.tracking.provenance import process_tags
from recurrent_cells.tracking.queries import trial_records
from tests.support import refusal
from tests.written_sweeps import Made, make_sweep, store

__all__ = ["make_sweep", "store"]  # fixtures

WAITING = Made("lstm", 0, state="missing")


@pytest.fixture
def sweep(make_sweep, store) -> str:
    """A sweep that runs, with a trial that runs, one that has ended and one that waits."""
    parent = make_sweep(WAITING, Made("gru", 0, 0.9), Made("gru", 1, 0.9))
    running = next(record for record in trial_records(store) if record.params["seed"] == "0")
    for run_id in (parent, running.run_id):
        store.client.update_run(run_id, status="RUNNING")
    return parent


def test_a_trial_that_runs_is_asked_to_stop(sweep, store, capsys):
    running, ended = sorted(trial_records(store), key=lambda record: record.params["seed"])
    main([f"run={running.run_id[:8]}", "reason=seen enough"])
    assert running.name in capsys.readouterr().out
    assert store.client.get_run(running.run_id).data.tags["stop"] == "seen enough"
    assert "is FINISHED" in refusal(main, [f"run={ended.run_id}"], capsys)
    for key, value in (process_tags() | {"process.start": "1"}).items():  # of a process that is gone
        store.client.set_tag(running.run_id, key, value)
    assert "does not run any more" in refusal(main, [f"run={running.run_id}"], capsys)


def test_a_sweep_is_asked_to_start_no_more_or_to_leave_a_trial_out(sweep, store, capsys):
    fingerprint = WAITING.fingerprint
    main(["sweep=latest", f"skip={fingerprint}"])
    begun = trial_records(store)[0].fingerprint
    assert "only a trial without a run can be skipped" in refusal(main, ["sweep=latest", f"skip={begun}"], capsys)
    main(["sweep=latest"])
    tags = store.client.get_run(sweep).data.tags
    assert tags["stop"] == tags[f"skip.{fingerprint}"] == "by src.stop"
    assert "0 trials of the sweep begin so" in refusal(main, ["sweep=latest", "skip=xyz"], capsys)
    store.client.update_run(sweep, status="SCHEDULED")
    main(["sweep=latest", "reason=lunch"])  # its trials wait in a queue
    assert store.client.get_run(sweep).data.tags["stop"] == "lunch"
    store.client.set_terminated(sweep)
    assert "is FINISHED" in refusal(main, ["sweep=latest"], capsys)


@pytest.mark.parametrize("arguments", [[], ["run=latest", "sweep=latest"], ["run=abcdef", "skip=abc"]])
def test_what_names_nothing_to_stop_is_refused(arguments, capsys):
    assert "run=RUN_ID" in refusal(main, arguments, capsys)
