"""The doctor says what was wrong, what it did, what runs, and what it could not deliver."""

import json
import shutil
import sys

import pytest

from recurrent_cells.cli import doctor
from recurrent_cells.tracking.manifest import local_folder
from recurrent_cells.tracking.opening import RunSpec
from recurrent_cells.tracking.provenance import process_tags
from recurrent_cells.tracking.run import trial_run
from recurrent_cells.tracking.store import open_store


@pytest.fixture
def consult(monkeypatch, capsys):
    """What the doctor prints and the code it exits with."""

    def consulted() -> tuple[list[str], str, int]:
        monkeypatch.setattr(sys, "argv", ["doctor"])
        code = 0
        try:
            doctor.main([])
        except SystemExit as end:
            code = int(end.code or 0)
        out, err = capsys.readouterr()
        return out.splitlines(), err, code

    return consulted


def test_a_store_that_is_well_needs_two_lines(store_file, consult):
    assert consult() == ([f"sqlite:///{store_file}", "0 repaired, 0 not delivered, 0 running"], "", 0)


def test_every_untrue_run_of_every_experiment_is_named_and_repaired(store_file, consult):
    mine, other = open_store("recurrent-cells"), open_store("others")

    def run(store, name: str, **tags: str) -> str:
        made = store.client.create_run(store.experiment_id, run_name=name, tags=process_tags() | tags)
        return made.info.run_id

    living = run(mine, "living")
    gone = run(other, "gone", **{"process.start": "1"})
    stranger = other.client.create_run(other.experiment_id, run_name="stranger").info.run_id
    undelivered, lost = (run(mine, name, fingerprint=name) for name in ("undelivered", "lost"))
    for run_id in (undelivered, lost):
        (mine.trial_folder(run_id) / "artifacts").mkdir(parents=True)
        outcome = {"status": "FINISHED", "tags": {}, "end_time": 1}
        (mine.trial_folder(run_id) / "outcome.json").write_text(json.dumps(outcome))
    mine.client.delete_run(lost)

    lines, err, code = consult()
    assert (err, code) == ("", 0)
    process, host = process_tags()["process.pid"], process_tags()["process.host"]
    assert lines[:4] == [
        f"sqlite:///{store_file}",
        "repaired:",
        f"  undelivered ({undelivered}): was RUNNING, now FINISHED: its end was delivered",
        f"  gone ({gone}): was RUNNING, now KILLED: process {process} is gone (killed, or the power failed)",
    ]
    assert lines[4] == "not delivered, kept on disk:"
    assert lines[5].startswith(f"  {mine.trial_folder(lost)}: ")
    assert lines[6] == "running:"
    assert sorted(lines[7:9]) == sorted(
        [
            f"  living ({living}) in recurrent-cells: process {process} on {host}",
            f"  stranger ({stranger}) in others: not started from here, left alone",
        ]
    )
    assert lines[9:] == ["2 repaired, 1 not delivered, 2 running"]

    lines, _, code = consult()
    assert (lines[-1], code) == ("0 repaired, 1 not delivered, 2 running", 0)


def test_damaged_runs_are_repaired_from_what_is_left_or_marked(store_file, consult):
    store = open_store("others")

    def finished(name: str):
        with trial_run(store, RunSpec(name, name, tags={}, params={})) as run:
            (run.artifacts / "best.ckpt").write_text("weights")
            (run.artifacts / "config.yaml").write_text("seed: 0")
        return run, local_folder(run.opened.info.artifact_uri)

    whole, (run, folder), (kept, copies) = finished("whole")[0], finished("damaged"), finished("kept")
    (folder / "best.ckpt").write_text("Weights")
    (folder / "config.yaml").unlink()
    shutil.copytree(copies, kept.artifacts)
    (copies / "best.ckpt").write_text("")

    lines, err, code = consult()
    assert (err, code) == ("", 0)
    assert lines == [
        f"sqlite:///{store_file}",
        "repaired:",
        f"  kept ({kept.run_id}): was FINISHED, now FINISHED: best.ckpt was empty: brought again",
        f"  damaged ({run.run_id}): was FINISHED, now FAILED: best.ckpt is altered, config.yaml is missing: "
        "the same command trains it again",
        "2 repaired, 0 not delivered, 0 running",
    ]
    assert (copies / "best.ckpt").read_text() == "weights"
    assert store.client.get_run(whole.run_id).info.status == "FINISHED"
    assert consult()[0][-1] == "0 repaired, 0 not delivered, 0 running"


def test_a_store_that_cannot_be_opened_is_bad_input(consult, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "nonsense")
    out, err, code = consult()
    assert (out, code) == ([], 2)
    assert err.startswith("MLFLOW_TRACKING_URI=nonsense: ")
