"""Series of a user's own, of different lengths, from the command line to what a trial leaves."""

import numpy as np
import pytest

from recurrent_cells.inference.trained import find_winner, load_trained
from recurrent_cells.tracking import artifacts
from recurrent_cells.tracking.queries import find_trial
from recurrent_cells.tracking.store import open_store

SOURCE = """
import numpy as np
from recurrent_cells.data.sources import Part, Source

class Series(Source):
    name = "series"
    reads_root = True
    defaults = {"batch_size": 10, "val_size": 20, "test_size": 30, "normalize": "none"}

    def load(self, data):
        random = np.random.RandomState(0)
        values = random.uniform(-1, 1, (120, 9, 2)).astype(np.float32)
        lengths = random.randint(3, 10, 120)
        values[np.arange(9) >= lengths[:, None]] = 0
        means = values[:, :, 0].sum(axis=1) / lengths
        if data.root == "numbers":
            return [Part(values, 1000 + 100 * means, "here", lengths)]
        labels = (means > 0.15).astype(np.int64)
        return [Part(values, labels, "here", lengths, ("low", "high"))]
"""
SHORT = ("trainer=cpu", "trainer.max_steps=150", "trainer.eval_every=50", "model=gru", "model.hidden_size=8")


@pytest.fixture
def given(tmp_path, store_file) -> tuple[str, ...]:
    file = tmp_path / "series.py"
    file.write_text(SOURCE)
    return f"extensions=[{file}]", "data=series", "optimizer.lr=0.03", "registry=false", *SHORT


@pytest.mark.slow
def test_numbers_are_answered_in_their_own_unit_and_drawn(run_cli, given, runs):
    answer = run_cli(*given, "data.root=numbers")
    assert answer.code == 0, answer.err
    (run,) = runs()
    assert (run.data.tags["task"], run.data.tags["metric"]) == ("regression", "mse")
    found = run.data.metrics
    assert found["test/r2"] > 0.9
    assert 1 < found["test/mse"] < 200
    assert found["test/mae"] ** 2 < found["test/mse"]
    store = open_store("recurrent-cells")
    record = find_trial(store, run.info.run_id, "run")
    answers, targets = artifacts.read_numbers(store, record)
    assert answers.shape == targets.shape == (30, 1)
    assert np.square(answers - targets).mean() == pytest.approx(found["test/mse"], rel=1e-4)
    assert artifacts.read_bytes(store, record, "predicted_against_true.png")
    trained = load_trained(store, find_winner(store, "best"))
    assert trained.task.name == "regression"
    assert trained.task.targets.offset[0] == pytest.approx(1000, abs=20)


@pytest.mark.slow
def test_classes_of_series_are_named_and_their_hardest_drawn_as_they_were(run_cli, given, runs):
    answer = run_cli(*given, "data.root=classes", "model.readout=every")
    assert answer.code == 0, answer.err
    (run,) = runs()
    logged = {"balanced_acc", "recall_0", "recall_1", "acc_mean_over_steps"}
    assert run.data.metrics.keys() >= {f"test/{name}" for name in logged}
    store = open_store("recurrent-cells")
    record = find_trial(store, run.info.run_id, "run")
    counts, names = artifacts.read_confusion(store, record)
    assert names == ("low", "high")
    assert counts.sum() == 30
    hardest = artifacts.read_hardest(store, record)
    assert len(hardest) == 12
    assert not any(it.is_image for it in hardest)
    assert len({len(it.values) for it in hardest}) > 1
    assert all(it.values.shape[1] == 2 and it.values.dtype == np.float32 for it in hardest)
    assert len(artifacts.read_after_step(store, record)) == 9
    assert artifacts.read_bytes(store, record, "first_sequences.png")


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (("data.root=numbers", "task=classification"), "task=classification: data=series has numbers as targets"),
        (("data.root=classes", "task=regression"), "task=regression: data=series has classes as targets"),
        (("data.root=numbers", "model.readout=every"), "model.readout=every: with data=series task=regression"),
        (("data.root=classes", "task=per_step"), "model.readout=last: with data=series task=per_step"),
        (
            ("data.root=classes", "model.readout=flatten"),
            "model.readout=flatten: data=series has sequences of different",
        ),
        (("data.root=classes", "model.frontend=conv"), "model.frontend=conv: data=series has sequences of different"),
        (("data.root=classes", "trainer.flush_denormals=true", "trainer.threads=2"), "trainer.flush_denormals=true"),
    ],
)
def test_what_does_not_go_together_is_refused_in_a_line(run_cli, given, runs, overrides, said):
    answer = run_cli(*given, *overrides)
    assert answer.code == 2
    assert said in answer.err
    assert runs() == []
