"""A sweep that keeps its trials in a file goes on from the file in another store."""

import io
import json
import pickle
import shutil

import numpy as np
import pyarrow
import pytest
from pyarrow import parquet

from recurrent_cells.errors import UserError
from recurrent_cells.tracking.archive import add_to_archive, take_in
from recurrent_cells.tracking.archived import MOST_TRIALS, read_archive
from recurrent_cells.tracking.artifacts import read_outcomes
from recurrent_cells.tracking.histories import read_histories
from recurrent_cells.tracking.parents import all_parents
from recurrent_cells.tracking.queries import best_by_validation, trial_records
from recurrent_cells.tracking.store import open_store

CURVES = ["val/loss", "val/acc", "train/loss"]


@pytest.fixture
def elsewhere(tmp_path, monkeypatch, empty_store):
    """`elsewhere()`: from now on there is another store, an empty one."""

    def move():
        shutil.copy(empty_store, tmp_path / "other.db")
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/other.db")
        return open_store("recurrent-cells")

    return move


@pytest.mark.slow
def test_trials_of_an_archive_are_left_out_and_compared_as_if_they_had_been_trained_here(
    sweep, steps, store, elsewhere, tmp_path
):
    archive = f"sweep.archive={tmp_path / 'trials.parquet'}"
    first = sweep("model=lstm,gru", "seed=0,1", archive, train=steps.train)
    assert first.code == 0
    content = (tmp_path / "trials.parquet").read_bytes()
    for record in trial_records(store):
        store.client.set_tag(record.run_id, "comment", "longer than an archive takes " * 250)
    assert sweep("model=lstm,gru", "seed=0,1", archive).code == 0
    assert (tmp_path / "trials.parquet").read_bytes() == content
    known = {record.fingerprint: record for record in trial_records(store)}
    curves = read_histories(store, [it.run_id for it in known.values()], CURVES)

    other = elsewhere()
    planned = sweep("model=lstm,gru", "seed=0,1,2", archive, "sweep.dry_run=true")
    assert planned.out.splitlines()[-1].startswith("6 trials, 4 to be left out, 2 to run")
    assert trial_records(other) == []
    again = sweep("model=lstm,gru", "seed=0,1", archive, train=steps.train)
    assert (again.code, again.out) == (0, first.out)
    assert again.err.splitlines()[1:] == ["4 of 4 trials are left out"]
    assert len(steps.begun()) == 4
    assert (tmp_path / "trials.parquet").read_bytes() == content
    taken = trial_records(other)
    found = read_histories(other, [it.run_id for it in taken], CURVES)
    for record in taken:
        original = known[record.fingerprint]
        assert (record.status, record.params, record.block) == ("FINISHED", original.params, original.block)
        assert (read_outcomes(other, record) == read_outcomes(store, original)).all()
        for key, history in curves[original.run_id].items():
            assert (found[record.run_id][key].values == history.values).all()
    assert best_by_validation(taken) is None  # there are no weights

    assert sweep("model=lstm,gru", "seed=0,1,2", archive, train=steps.train).code == 0
    assert len(steps.begun()) == 6
    assert take_in(store, read_archive(tmp_path / "trials.parquet"), "trials.parquet") == 2


@pytest.mark.slow
def test_a_process_killed_while_it_took_trials_in_leaves_none_behind(sweep, store, elsewhere, tmp_path, monkeypatch):
    sweep("seed=0,1")
    path = tmp_path / "trials.parquet"
    add_to_archive(store, all_parents(store)[0], trial_records(store), path)
    other = elsewhere()
    with monkeypatch.context() as patch:
        patch.setattr("recurrent_cells.tracking.archive.set_ended", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            take_in(other, read_archive(path), path.name)
    assert take_in(other, read_archive(path), path.name) == 2
    assert [it.status for it in trial_records(other)] == ["FINISHED"] * 2


@pytest.mark.slow
def test_a_sweep_leaves_in_the_archive_what_other_sweeps_have_kept_there(sweep, steps, elsewhere, tmp_path):
    archive = f"sweep.archive={tmp_path / 'new' / 'trials.parquet'}"
    for seeds in ("seed=0,1", "seed=1,2"):
        assert sweep(seeds, archive, train=steps.train).code == 0
    elsewhere()
    again = sweep("seed=0,1,2", archive, train=steps.train)
    assert again.err.splitlines()[1:] == ["3 of 3 trials are left out"]


@pytest.mark.slow
def test_an_archive_that_cannot_be_written_at_the_end_is_written_by_the_same_command(
    sweep, steps, tmp_path, monkeypatch
):
    line = ("seed=0,1", f"sweep.archive={tmp_path / 'trials.parquet'}", "tracking.patience=0")
    with monkeypatch.context() as patch:
        patch.setattr("recurrent_cells.tracking.archive.write_atomically", full_disk)
        answer = sweep(*line, train=steps.train)
    assert (answer.code, len(answer.err.splitlines()[-1:])) == (1, 1)
    assert "trials.parquet: cannot be written (No space left on device)" in answer.err
    assert sweep(*line, train=steps.train).code == 0
    assert (len(steps.begun()), len(read_archive(tmp_path / "trials.parquet"))) == (2, 2)


def full_disk(*_):
    raise OSError(28, "No space left on device")


@pytest.mark.slow
def test_a_search_takes_trials_from_an_archive(sweep, steps, elsewhere, tmp_path):
    search = (
        *("hydra/sweeper=optuna", "model.hidden_size=3,4", "hydra.sweeper.sampler=grid", "hydra.sweeper.n_trials=2"),
        f"sweep.archive={tmp_path / 'trials.parquet'}",
    )
    first = sweep(*search, train=steps.train)
    elsewhere()
    again = sweep(*search, train=steps.train)
    assert (first.code, again.code, again.out) == (0, 0, first.out)
    assert len(steps.begun()) == 2


@pytest.mark.slow
@pytest.mark.parametrize("content", [b"", b"PAR1 and no more", b"a,b\n1,2\n"])
def test_a_file_that_is_no_archive_is_refused(sweep, runs, tmp_path, content):
    (tmp_path / "trials.parquet").write_bytes(content)
    answer = sweep("seed=0,1", f"sweep.archive={tmp_path / 'trials.parquet'}")
    assert answer.code == 2
    assert "not an archive of trials, or damaged" in answer.err
    assert runs() == []


@pytest.mark.parametrize(
    "place", ["", "/proc/absent/trials.parquet", "/dev/zero", "/etc/hostname/trials.parquet", "'a\0b'"]
)
@pytest.mark.parametrize("sampler", ["grid", "optuna"])
def test_a_place_where_no_archive_can_be_written_is_refused_before_anything_starts(
    sweep, runs, tmp_path, place, sampler
):
    answer = sweep("model.hidden_size=3,4", f"hydra/sweeper={sampler}", f"sweep.archive={place or tmp_path}")
    assert (answer.code, runs()) == (2, [])
    assert len(answer.err.splitlines()) == 1
    assert "sweep.archive={}: ".format(place.strip("'") or tmp_path) in answer.err


@pytest.mark.parametrize("key", ["sweep.archive=trials.parquet", "sweep.phases=[{seed: '3'},{seed: '4'}]"])
@pytest.mark.parametrize("line", [[], ["-m", "hydra/sweeper=basic"]])
def test_a_trial_by_itself_has_no_archive_and_no_phases(run_cli, runs, key, line):
    answer = run_cli(*line, "seed=0", key)
    assert (answer.code, runs()) == (2, [])
    assert f"{key[:12]}" in answer.err


def test_a_search_has_no_phases(sweep, runs):
    answer = sweep("hydra/sweeper=optuna", "model.hidden_size=3,4", "sweep.phases=[{seed: '3'},{seed: '4'}]")
    assert (answer.code, runs()) == (2, [])
    assert "sweep.phases: a search has no phases" in answer.err


@pytest.fixture(scope="module")
def row():
    """A trial as an archive has it."""
    outcomes = io.BytesIO()
    np.savez(outcomes, values=np.ones(3))
    return {
        "name": "gru-h4x1-s0",
        "fingerprint": "0123456789abcdef",
        "params": json.dumps({"seed": "0", "n_params": "3"}),
        "tags": json.dumps({"cell": "gru"}),
        "curves": json.dumps({"val/best_acc": [[1], [0.5]], "test/acc": [[1.0], [0.5]]}),
        "files": [("test_outcomes.npz", outcomes.getvalue())],
    }


def write_rows(path, rows):
    text, contents = pyarrow.string(), pyarrow.map_(pyarrow.string(), pyarrow.binary())
    schema = pyarrow.schema([(name, contents if name == "files" else text) for name in rows[0]])
    parquet.write_table(pyarrow.Table.from_pylist(rows, schema), path, compression="zstd")


def squeezed():
    """A file of arrays that unpacks to a thousand times its size."""
    file = io.BytesIO()
    np.savez_compressed(file, values=np.zeros(1_000_000))
    return file.getvalue()


def outcomes_of_more_than_there_are():
    file = io.BytesIO()
    np.savez(file, bits=np.zeros(1, dtype=np.uint8), count=10**15)
    return file.getvalue()


DAMAGED = {
    "no name": {"name": None},
    "a fingerprint that is a path": {"fingerprint": "../../../../etc"},
    "no fingerprint": {"fingerprint": None},
    "params that are a list": {"params": "[1]"},
    "params without a seed": {"params": "{}"},
    "params that are numbers": {"params": '{"seed": 0, "n_params": 3}'},
    "params longer than MLflow takes": {"params": json.dumps({"seed": "0", "n_params": "3", "a": "x" * 7000})},
    "deep tags": {"tags": "[" * 100_000},
    "tags with odd names": {"tags": '{"a\\nb": "c"}'},
    "no curves": {"curves": "{}"},
    "a curve of texts": {"curves": '{"test/acc": [["a"], ["b"]]}'},
    "a curve of uneven lengths": {"curves": '{"test/acc": [[1, 2], [0.5]]}'},
    "a curve of no steps": {"curves": '{"test/acc": [[NaN], [0.5]]}'},
    "a curve of steps beyond counting": {"curves": '{"test/acc": [[1e300], [0.5]]}'},
    "a number too large": {"curves": f'{{"test/acc": [[1], [{"9" * 400}]]}}'},
    "a file outside": {"files": [("../../ran", b"")]},
    "a file of code": {"files": [("cell.py", b"import os")]},
    "outcomes that are a pickle": {"files": [("test_outcomes.npz", pickle.dumps([1]))]},
    "outcomes squeezed": {"files": [("test_outcomes.npz", squeezed())]},
    "outcomes beyond counting": {"files": [("test_outcomes.npz", outcomes_of_more_than_there_are())]},
    "a confusion matrix of texts": {"files": [("confusion_matrix.csv", b"a,b\nc,d\n")]},
    "accuracies of texts": {"files": [("accuracy_after_step.csv", b"step,accuracy\n1,x\n")]},
    "a config of bytes": {"files": [("config.yaml", b"\xff")]},
}


@pytest.mark.slow
@pytest.mark.parametrize("name", DAMAGED)
def test_an_archive_with_a_row_that_is_no_trial_is_refused(row, runs, sweep, tmp_path, name):
    path = tmp_path / "trials.parquet"
    write_rows(path, [row])
    assert [it.fingerprint for it in read_archive(path)] == [row["fingerprint"]]
    write_rows(path, [row, row | DAMAGED[name]])
    answer = sweep("seed=0,1", f"sweep.archive={path}")
    assert (answer.code, runs()) == (2, [])
    assert len(answer.err.splitlines()) == 1
    assert f"sweep.archive={path}: trial 2" in answer.err


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "count"),
    [
        ({}, MOST_TRIALS + 1),
        ({"name": "x" * 100_000_000}, 3),
        ({"files": [("config.yaml", bytes(300_000_000))]}, 1),
    ],
)
def test_an_archive_that_unpacks_to_far_more_than_it_holds_is_refused(row, tmp_path, change, count):
    path = tmp_path / "trials.parquet"
    write_rows(path, [row | change] * count)
    with pytest.raises(UserError, match=r"sweep\.archive="):
        read_archive(path)


def test_tags_of_an_archive_say_nothing_of_its_readers_store_or_processes(row, store, tmp_path):
    path = tmp_path / "trials.parquet"
    write_rows(path, [row | {"tags": json.dumps({"mlflow.parentRunId": "a" * 32, "process.pid": "1", "cell": "gru"})}])
    assert take_in(store, read_archive(path), "trials.parquet") == 1
    (taken,) = trial_records(store)
    assert (taken.tags["cell"], taken.status) == ("gru", "FINISHED")
    assert "mlflow.parentRunId" not in taken.tags
    assert taken.tags["process.pid"] != "1"
