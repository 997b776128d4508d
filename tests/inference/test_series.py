"""Networks of series in use: loaded, evaluated, kept as MLflow models and exported."""

import importlib.util

import mlflow
import numpy as np
import pytest
import torch
from mlflow.exceptions import MlflowException

from recurrent_cells.data.splits import load_splits
from recurrent_cells.errors import UserError
from recurrent_cells.inference.evaluation import ClassEvaluation, NumberEvaluation, evaluate
from recurrent_cells.inference.export import ONNX_PACKAGES, export
from recurrent_cells.inference.held_out import load_held_out
from recurrent_cells.inference.scores import as_text
from recurrent_cells.inference.series import cut, from_lists, padded, without_padding
from recurrent_cells.inference.series_files import read_series
from recurrent_cells.inference.trained import find_winner, load_trained
from recurrent_cells.tables import CELLS
from tests.inference.series import train_series
from tests.support import write_data_set

MISSING = [name for name in ONNX_PACKAGES if importlib.util.find_spec(name) is None]
FORMATS = [
    "torch",
    pytest.param("onnx", marks=pytest.mark.skipif(bool(MISSING), reason=f"no {', '.join(MISSING)}")),
]
NUMBER = ("data=means", "task=number")


@pytest.fixture
def trained(begin_with):
    store = begin_with(train_series)
    return load_trained(store, find_winner(store, "best"))


@pytest.fixture
def series(trained):
    return load_held_out(trained).values


def test_a_network_of_series_knows_what_it_takes_and_what_its_classes_are_called(trained, series):
    assert (trained.takes, trained.names) == ("series of 2 features", ("slow", "fast"))
    splits = load_splits(trained.config.data)
    assert (trained.sequences(series) == splits.test.sequences).all()


@pytest.mark.slow
@pytest.mark.parametrize("override", ["model=gru", "model.readout=every", "model.readout=mean"])
def test_it_scores_what_the_trial_scored(store_file, tmp_path, override):
    trained = train_series(tmp_path, override)
    evaluation = evaluate(trained, load_held_out(trained))
    assert isinstance(evaluation, ClassEvaluation)
    assert evaluation.accuracy == trained.record.metrics["test/acc"] == evaluation.recorded
    assert [score.name for score in evaluation.classes] == ["slow", "fast"]
    assert "slow" in as_text(evaluation)


def test_a_regression_is_scored_by_its_errors(store_file, tmp_path):
    trained = train_series(tmp_path, *NUMBER)
    evaluation = evaluate(trained, load_held_out(trained))
    assert isinstance(evaluation, NumberEvaluation)
    assert evaluation.mse == pytest.approx(trained.record.metrics["test/square_error"], rel=1e-5)
    assert evaluation.recorded == trained.record.metrics["test/square_error"]
    targets = load_held_out(trained).targets
    assert evaluation.r2 == pytest.approx(1 - evaluation.mse / targets.var(), rel=1e-5)
    assert evaluation.mse_by_step is not None
    assert evaluation.mse_by_step[-1] == pytest.approx(evaluation.mse)
    assert f", square_error recorded by the trial {evaluation.recorded:.6g}" in as_text(evaluation)


def test_data_of_another_kind_are_refused(trained, store_file, tmp_path):
    images = write_data_set(tmp_path / "images")
    with pytest.raises(UserError, match="data=idx: images of 6 x 5, but run lstm-h8x1-s0 was trained on series of 2 f"):
        load_held_out(trained, "idx", str(images))
    with pytest.raises(UserError, match="data=curves: series of 12 x 1, but run"):
        load_held_out(trained, "curves")
    with pytest.raises(UserError, match="data=means: its targets are numbers"):
        load_held_out(trained, "means")


@pytest.mark.slow
@pytest.mark.parametrize("overrides", [("model=gru",), ("model.bidirectional=true", "model.readout=mean"), NUMBER])
def test_the_mlflow_model_takes_series_of_any_number_of_steps(store_file, tmp_path, overrides):
    trained = train_series(tmp_path, "registry=true", *overrides)
    mlflow.set_tracking_uri(f"sqlite:///{store_file}")
    loaded = mlflow.pyfunc.load_model(f"runs:/{trained.record.run_id}/model")
    assert loaded.metadata.signature.inputs.to_dict()[0]["tensor-spec"] == {"dtype": "float32", "shape": (-1, -1, 2)}
    values = load_held_out(trained).values
    for given in (values, values[:3, :5], np.concatenate([values, values], axis=1)):
        expected = trained.logits(given)
        expected = expected.softmax(dim=1) if trained.task.has_classes else expected
        assert loaded.predict(given) == pytest.approx(expected.numpy(), abs=1e-5)


def test_with_a_flat_readout_the_mlflow_model_takes_series_as_long_as_those_of_training(store_file, tmp_path):
    trained = train_series(tmp_path, "registry=true", "model.readout=flatten")
    mlflow.set_tracking_uri(f"sqlite:///{store_file}")
    loaded = mlflow.pyfunc.load_model(f"runs:/{trained.record.run_id}/model")
    values = load_held_out(trained).values
    assert loaded.predict(values) == pytest.approx(trained.logits(values).softmax(dim=1).numpy(), abs=1e-5)
    with pytest.raises(MlflowException):
        loaded.predict(values[:, :5])
    with pytest.raises(UserError, match=r"series of 5 x 2, but run .* was trained on series of 12 x 2"):
        trained.logits(values[:, :5])


def check_file(trained, form, folder):
    """Whether a file of the network, of whatever number of steps, answers as the network does."""
    path = folder / f"network.{form}"
    assert export(trained, form, path) <= 1e-5
    for steps in (1, 5):
        values = load_held_out(trained).values[:3, :steps]
        if form == "torch":
            answers = torch.export.load(path).module()(torch.from_numpy(values)).detach().numpy()
        else:
            import onnxruntime

            session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
            (answers,) = session.run(None, {"series": values})
        assert answers == pytest.approx(trained.logits(values).numpy(), abs=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("overrides", [("model=lstm",), ("model=simple_rnn", "model.bidirectional=true"), NUMBER])
def test_the_file_answers_as_the_network_for_any_number_of_steps(store_file, tmp_path, form, overrides):
    check_file(train_series(tmp_path, *overrides), form, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("cell", sorted({*CELLS.names} - {"lstm", "simple_rnn"}))
@pytest.mark.parametrize("form", FORMATS)
def test_every_cell_is_written_for_any_number_of_steps(store_file, tmp_path, form, cell):
    check_file(train_series(tmp_path, f"model={cell}"), form, tmp_path)


def test_lists_of_several_depths_are_series(trained):
    series = [[1, 2], [3, 4.5]]
    assert [it.tolist() for it in from_lists(series, 2)] == [series]
    assert [it.tolist() for it in from_lists([series, series[:1]], 2)] == [series, series[:1]]
    assert [it.tolist() for it in from_lists([1, 2, 3], 1)] == [[[1], [2], [3]]]
    assert [it.tolist() for it in from_lists([[1, 2], [3]], 1)] == [[[1], [2]], [[3]]]
    assert [it.tolist() for it in from_lists([[1], [2]], 1)] == [[[1], [2]]]


def test_what_stands_after_a_length_is_cut_off():
    values = np.arange(12.0).reshape(2, 3, 2)
    values[0, 2] = np.nan
    assert [it.tolist() for it in cut(values, [2, 1])] == [[[0, 1], [2, 3]], [[6, 7]]]
    assert [len(it) for it in cut(values, None)] == [2, 3]


def test_numbers_missing_at_the_end_of_a_known_length_are_no_padding():
    values = np.arange(12.0).reshape(2, 3, 2)
    values[0, 1:] = np.nan
    assert [len(it) for it in cut(values, [2, 3])] == [2, 3]
    assert [len(it) for it in cut(values, None)] == [1, 3]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ([], "no series"),
        ([[1, 2], [3]], "the series: its steps are of 1, 2 numbers"),
        ([[1, 2], 3], "lists and numbers are mixed"),
        ([[1, "2"]], "the series: '2' is no number"),
        ([[1, True]], "the series: 'True' is no number"),
        ([[1, 2, 3]], "the series: series of 1 x 3, but run lstm-h8x1-s0 was trained on series of 2 features"),
        ([[1, 2], [None, 1]], "the series: step 1, feature 0 is nan; allowed are finite numbers"),
        ([[1, 2], [1e40, 1]], "the series: step 1, feature 0 is inf"),
        ([[1, 2], [10**400, 1]], "the series: a number is too large"),
        ([[None, None]], "the series: no step has a number"),
        (
            [[[1, 2]], [[1, 2], [3, 4]]],
            "series of different lengths, but run lstm-h8x1-s0 was trained on series of one",
        ),
    ],
)
def test_what_is_no_series_is_refused_in_a_line(trained, content, words):
    with pytest.raises(UserError, match="^" + words.replace("[", r"\[")) as refused:
        padded(without_padding(from_lists(content, 2)), trained)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("content", [b"1,2\n1e300,1\n", b"[[1, 2], [1e300, 1]]"])
def test_numbers_of_a_file_that_are_too_large_are_infinite_without_a_warning(trained, content):
    (series,), _ = read_series(content, trained)
    with pytest.raises(UserError, match=r"^the series: step 1, feature 0 is inf"):
        padded([series], trained)


@pytest.mark.parametrize("lengths", [[0, 1], [1, 4], [1], [1.5, 1], "ab", [[1], [2]], [[1], 2], [10**30, 1]])
def test_lengths_that_are_none_are_refused(lengths):
    with pytest.raises(UserError, match=r"^lengths: "):
        cut(np.zeros((2, 3, 2)), lengths)
