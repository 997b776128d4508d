"""A sweep that keeps its trials in a file goes on from the file in another store."""

import shutil

import pytest

from recurrent_cells.tracking.archive import read_archive, take_in, write_archive
from recurrent_cells.tracking.artifacts import read_outcomes
from recurrent_cells.tracking.histories import read_histories
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


def test_trials_of_an_archive_are_left_out_and_compared_as_if_they_had_been_trained_here(
    sweep, steps, store, elsewhere, tmp_path
):
    archive = f"sweep.archive={tmp_path / 'trials.parquet'}"
    first = sweep("model=lstm,gru", "seed=0,1", archive, train=steps.train)
    assert first.code == 0
    content = (tmp_path / "trials.parquet").read_bytes()
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


def test_a_process_killed_while_it_took_trials_in_leaves_none_behind(sweep, store, elsewhere, tmp_path, monkeypatch):
    sweep("seed=0,1")
    path = tmp_path / "trials.parquet"
    write_archive(store, trial_records(store), path)
    other = elsewhere()
    with monkeypatch.context() as patch:
        patch.setattr("recurrent_cells.tracking.archive.set_ended", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            take_in(other, read_archive(path), path.name)
    assert take_in(other, read_archive(path), path.name) == 2
    assert [it.status for it in trial_records(other)] == ["FINISHED"] * 2


@pytest.mark.parametrize("content", [b"", b"PAR1 and no more", b"a,b\n1,2\n"])
def test_a_file_that_is_no_archive_is_refused(sweep, runs, tmp_path, content):
    (tmp_path / "trials.parquet").write_bytes(content)
    answer = sweep("seed=0,1", f"sweep.archive={tmp_path / 'trials.parquet'}")
    assert answer.code == 2
    assert "not an archive of trials, or damaged" in answer.err
    assert runs() == []
