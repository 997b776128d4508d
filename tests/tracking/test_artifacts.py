"""What a run leaves is read as it was written."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import yaml

from recurrent_cells.errors import UserError
from recurrent_cells.tracking import artifacts
from recurrent_cells.tracking.artifacts import HardExample, PlanEntry
from recurrent_cells.tracking.queries import trial_records


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "left").mkdir()
    return tmp_path / "left"


@pytest.fixture
def run(folder):
    """A run whose files lie in the folder."""
    return SimpleNamespace(run_id="r0", artifact_uri=folder.as_uri())


@pytest.fixture
def elsewhere(store, run_of, folder):
    """A run whose files lie in a place of their own: they are asked of MLflow."""

    def kept():
        run_id = run_of("abc", "FINISHED")
        store.client.log_artifacts(run_id, str(folder))
        return SimpleNamespace(run_id=run_id, artifact_uri=f"s3://bucket/1/{run_id}")

    return kept


def test_a_config(store, folder, run):
    assert artifacts.read_config(store, run) is None
    artifacts.write_config(folder, {"seed": 0, "model": {"cell": "gru"}})
    assert yaml.safe_load(artifacts.read_config(store, run)) == {"seed": 0, "model": {"cell": "gru"}}


def test_the_code(store, folder, run):
    assert artifacts.read_code(store, run) == (b"", [])
    artifacts.write_code(folder, b"", ["numpy==2.0"])
    assert [file.name for file in folder.iterdir()] == ["packages.txt"]
    artifacts.write_code(folder, b"diff\xff", ["numpy==2.0", "torch==2.15"])
    assert artifacts.read_code(store, run) == (b"diff\xff", ["numpy==2.0", "torch==2.15"])


@pytest.mark.parametrize("outcomes", [[1, 0, 1, 1, 0, 1, 1, 1, 0, 1, 1], [0.25, 1.0, -3.5], [1.0] * 16])
def test_outcomes(store, folder, run, elsewhere, outcomes):
    assert artifacts.read_outcomes(store, run) is None
    artifacts.write_outcomes(folder, np.array(outcomes, dtype=np.float32))
    assert artifacts.read_outcomes(store, run).tolist() == outcomes
    assert artifacts.read_outcomes(store, elsewhere()).tolist() == outcomes


def test_right_and_wrong_take_a_bit_each(folder):
    artifacts.write_outcomes(folder, np.ones(10_000, dtype=np.float32))
    (file,) = folder.iterdir()
    assert file.stat().st_size < 2000


def test_a_confusion_matrix(store, folder, run, elsewhere):
    assert artifacts.read_confusion(store, run) is None
    artifacts.write_confusion(folder, [[9, 1], [0, 10]], None)
    assert (folder / "confusion_matrix.csv").read_text() == "9,1\n0,10\n"
    for where in (run, elsewhere()):
        counts, names = artifacts.read_confusion(store, where)
        assert counts.tolist() == [[9, 1], [0, 10]]
        assert names is None


@pytest.mark.parametrize("names", [("2", "1"), ('a, "b"', "new\nline")])
def test_a_confusion_matrix_with_the_names_of_its_classes(store, folder, run, names):
    artifacts.write_confusion(folder, [[9, 1], [0, 10]], names)
    counts, found = artifacts.read_confusion(store, run)
    assert counts.tolist() == [[9, 1], [0, 10]]
    assert found == names


def test_numbers(store, folder, run):
    assert artifacts.read_numbers(store, run) is None
    answers, targets = np.random.rand(2, 7, 3).astype(np.float32)
    artifacts.write_numbers(folder, answers, targets)
    found = artifacts.read_numbers(store, run)
    assert (found[0] == answers).all()
    assert (found[1] == targets).all()


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_the_hardest_examples(store, folder, run, dtype):
    assert artifacts.read_hardest(store, run) == []
    values = np.array([[0, 255], [128, 0]], dtype=dtype)
    artifacts.write_hardest(folder, [HardExample(3, 0, 1, 0.9, 0.1, values)])
    (found,) = artifacts.read_hardest(store, run)
    assert (found.index, found.label, found.answer, found.probability, found.label_probability) == (3, 0, 1, 0.9, 0.1)
    assert (found.values == values).all()
    assert found.values.dtype == dtype


def test_the_hardest_images_of_earlier_versions(store, folder, run):
    entry = {"index": 3, "label": 0, "answer": 1, "probability": 0.9, "label_probability": 0.1, "pixels": [[0, 9]]}
    (folder / "hardest_images.json").write_text(json.dumps([entry]))
    (found,) = artifacts.read_hardest(store, run)
    assert found.is_image
    assert found.values.tolist() == [[0, 9]]


def test_the_accuracy_after_each_step(store, folder, run):
    assert artifacts.read_after_step(store, run) == []
    artifacts.write_after_step(folder, [0.1, 1 / 3])
    assert (folder / "accuracy_after_step.csv").read_text().startswith("step,accuracy\n1,0.1\n")
    assert artifacts.read_after_step(store, run) == [0.1, 1 / 3]


def test_a_plan_and_a_search(store, run_of):
    def parent():
        return SimpleNamespace(run_id=run_id, artifact_uri=store.client.get_run(run_id).info.artifact_uri)

    run_id = run_of("parent")
    assert artifacts.read_plan(store, parent()) is None
    assert artifacts.read_search(store, parent()) is None
    entries = [PlanEntry("gru-s0", "abc", ["model=gru", "seed=0"], {"seed": "0"}, 7)]
    artifacts.write_plan(store, run_id, entries)
    artifacts.write_search(store, run_id, "{}")
    assert artifacts.read_plan(store, parent()) == entries
    assert artifacts.read_search(store, parent()) == "{}"


def test_a_plan_of_an_earlier_version_has_no_varied_keys(store, folder, run):
    (folder / "plan.json").write_text('[{"name": "gru-s0", "fingerprint": "abc", "overrides": [], "n_params": 7}]')
    assert artifacts.read_plan(store, run) == [PlanEntry("gru-s0", "abc", [], {}, 7)]


def test_a_checkpoint_is_what_the_trial_wrote_or_refused(store, run_of, folder):
    run_id = run_of("abc", "FINISHED")

    def record():
        (found,) = trial_records(store)
        return found

    with pytest.raises(UserError, match=r"has left no best\.ckpt"):
        artifacts.read_checkpoint(store, record())
    digest = artifacts.write_checkpoint(folder, b"weights")
    store.client.log_artifacts(run_id, str(folder))
    with pytest.raises(UserError, match="has no digest on record"):
        artifacts.read_checkpoint(store, record())
    store.client.set_tag(run_id, "checkpoint.sha256", digest)
    assert artifacts.read_checkpoint(store, record()) == b"weights"
    artifacts.write_checkpoint(folder, b"others")
    store.client.log_artifacts(run_id, str(folder))
    with pytest.raises(UserError, match="is not what the trial wrote"):
        artifacts.read_checkpoint(store, record())
