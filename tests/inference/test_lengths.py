"""Networks of a user's own files in use: series of several lengths, numbers, and a class at each step."""

import json

import mlflow
import numpy as np
import pytest

from recurrent_cells.cli import predict
from recurrent_cells.inference.evaluation import ClassEvaluation, NumberEvaluation, evaluate
from recurrent_cells.inference.export import export
from recurrent_cells.inference.held_out import load_held_out
from recurrent_cells.inference.trained import find_winner, load_trained
from recurrent_cells.tracking.store import open_store
from recurrent_cells.trial.train import train
from tests.support import compose_config

SHORT = ("trainer=cpu", "trainer.max_steps=20", "trainer.log_every=10", "model.hidden_size=6", "data.batch_size=10")
LENGTHS = np.random.RandomState(1).randint(3, 9, 60)
VALUES = np.random.RandomState(0).randn(60, 8, 2).astype(np.float32)


def trained_on(folder, targets, *overrides, **arrays):
    np.savez(folder / "mine.npz", train_x=VALUES, train_y=targets, **arrays)
    data = ("data=npz", f"data.root={folder / 'mine.npz'}", "registry=true")
    result = train(compose_config(*SHORT, *data, *overrides))
    store = open_store("recurrent-cells")
    return load_trained(store, find_winner(store, result["run_id"]))


def loaded(trained, store_file):
    mlflow.set_tracking_uri(f"sqlite:///{store_file}")
    return mlflow.pyfunc.load_model(f"runs:/{trained.record.run_id}/model")


@pytest.mark.slow
@pytest.mark.parametrize(
    "overrides",
    [
        (),
        ("model.bidirectional=true", "model.readout=mean"),
        ("model=gru", "model.block=residual", "model.num_layers=2"),
    ],
)
def test_series_of_several_lengths(store_file, tmp_path, overrides):
    names = np.array(["low", "high"])[np.arange(60) % 2]
    trained = trained_on(tmp_path, names, *overrides, train_lengths=LENGTHS)
    held_out = load_held_out(trained)
    evaluation = evaluate(trained, held_out)
    assert isinstance(evaluation, ClassEvaluation)
    assert evaluation.accuracy == trained.record.metrics["test/acc"]
    assert evaluation.loss == pytest.approx(trained.record.metrics["test/loss"], abs=1e-6)
    values = held_out.values
    expected = trained.logits(values).softmax(dim=1).numpy()
    assert loaded(trained, store_file).predict(values) == pytest.approx(expected, abs=1e-5)
    assert export(trained, "torch", tmp_path / "network.pt2") < 1e-5
    for series, likely in zip(values, expected, strict=True):
        alone = series[~np.isnan(series).all(axis=1)][None]
        assert trained.logits(alone).softmax(dim=1)[0].numpy() == pytest.approx(likely, abs=1e-5)


@pytest.mark.slow
def test_series_after_which_nothing_or_null_stands_are_asked_about(store_file, tmp_path, capsys):
    trained = trained_on(tmp_path, np.arange(60) % 2, train_lengths=LENGTHS)
    short, long = VALUES[0, :3].tolist(), VALUES[1].tolist()
    forms = ([short, long], [short + [[None, None]] * 5, long], {"values": VALUES[:2].tolist(), "lengths": [3, 8]})
    answers = []
    for content in forms:
        (tmp_path / "a.json").write_text(json.dumps(content))
        capsys.readouterr()
        predict.main([f"run={trained.record.run_id}", f"series={tmp_path / 'a.json'}", "output=json"])
        answers.append(capsys.readouterr().out)
    assert len(set(answers)) == 1
    assert answers[0].count("\n") == 2


@pytest.mark.slow
@pytest.mark.parametrize("outputs", [1, 3])
def test_numbers_are_answered_in_their_unit(store_file, tmp_path, outputs):
    targets = 1000 + 50 * VALUES[:, 0, :1] * np.arange(1, outputs + 1)
    trained = trained_on(tmp_path, targets[:, 0] if outputs == 1 else targets)
    evaluation = evaluate(trained, load_held_out(trained))
    assert isinstance(evaluation, NumberEvaluation)
    for name, found in (("mse", evaluation.mse), ("mae", evaluation.mae), ("r2", evaluation.r2)):
        assert found == pytest.approx(trained.record.metrics[f"test/{name}"], rel=1e-4)
    assert len(evaluation.outputs) == outputs
    assert evaluation.mse_by_step is not None
    assert evaluation.mse_by_step[-1] == pytest.approx(evaluation.mse, rel=1e-5)
    answers = trained.logits(VALUES).numpy()
    assert answers.mean() == pytest.approx(targets.mean(), rel=0.05)
    assert loaded(trained, store_file).predict(VALUES) == pytest.approx(answers, rel=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("arrays", [{}, {"train_lengths": LENGTHS}])
def test_a_class_at_each_step(store_file, tmp_path, capsys, arrays):
    trained = trained_on(tmp_path, (VALUES[..., 0] > 0).astype(int), "model.readout=every", **arrays)
    evaluation = evaluate(trained, load_held_out(trained))
    assert isinstance(evaluation, ClassEvaluation)
    assert evaluation.accuracy == pytest.approx(trained.record.metrics["test/acc"])
    assert evaluation.no_steps
    values = load_held_out(trained).values
    expected = trained.logits(values).softmax(dim=2).numpy()
    assert loaded(trained, store_file).predict(values) == pytest.approx(expected, abs=1e-5)
    (tmp_path / "a.csv").write_text("\n".join(f"{a},{b}" for a, b in VALUES[0, :5].tolist()))
    capsys.readouterr()
    predict.main([f"run={trained.record.run_id}", f"series={tmp_path / 'a.csv'}", "output=json"])
    (row,) = map(json.loads, capsys.readouterr().out.splitlines())
    assert row["labels"] == trained.logits(VALUES[:1, :5])[0].argmax(dim=1).tolist()


@pytest.mark.slow
@pytest.mark.parametrize("features", ["[a,b]", "[]"])
def test_a_table_is_asked_about_by_the_names_of_its_columns(store_file, tmp_path, capsys, features):
    lines = ["id,t,a,b,label"]
    for name, series in enumerate(VALUES):
        lines += [f"s{name},{t},{a},{b},{'ab'[name % 2]}" for t, (a, b) in enumerate(series[: LENGTHS[name]].tolist())]
    (tmp_path / "mine.csv").write_text("\n".join(lines))
    columns = (
        "data.series=id",
        "data.time=t",
        "data.target=label",
        f"data.features={features}",
        "data.missing=last",
        "registry=false",
    )
    result = train(compose_config(*SHORT, "data=table", f"data.root={tmp_path / 'mine.csv'}", *columns))
    capsys.readouterr()

    def said(content):
        (tmp_path / "asked.csv").write_text(content)
        predict.main([f"run={result['run_id']}", f"series={tmp_path / 'asked.csv'}", "output=json"])
        return [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    x, y = said("t,id,b,a\n0,x,1,2\n0,y,3,4\n1,x,5,2")
    assert (x["series"], y["series"]) == ("x", "y")
    assert x["name"] in ("a", "b")
    for alone in ("b,a\n1,2\n5,2", "a,b\n2,1\n2,5", "other,a,b\nword,2,1\nword,,5"):
        (row,) = said(alone)
        assert row["probability"] == pytest.approx(x["probability"], abs=1e-6)
    with pytest.raises(SystemExit):
        said("t,id,a,b\n1,x,1,2\n1,x,3,4")
    assert "series x: time 1.0 comes after 1.0" in capsys.readouterr().err
