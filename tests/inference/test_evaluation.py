"""Scores of a trained network, against the trial's own and scikit-learn's."""

import numpy as np
import pytest
import torch
from sklearn.metrics import confusion_matrix, precision_score, recall_score

from recurrent_cells.data.splits import load_splits
from recurrent_cells.errors import UserError
from recurrent_cells.inference.evaluation import calibration, evaluate
from recurrent_cells.inference.held_out import load_held_out
from recurrent_cells.inference.scores import as_text
from recurrent_cells.inference.trained import find_winner, load_trained
from recurrent_cells.tracking.store import open_store
from recurrent_cells.trial.train import train
from tests.support import compose_config, train_tiny, write_data_set


@pytest.fixture
def trained(begin_with):
    store = begin_with(train_default)
    return load_trained(store, find_winner(store, "best"))


def train_default(folder):
    train_tiny(write_data_set(folder / "data"))


@pytest.mark.slow
@pytest.mark.parametrize("override", ["model=gru", "model.readout=every", "data.eval_batch_size=7"])
def test_it_scores_what_the_trial_scored(store_file, idx_folder, override):
    trained = train_tiny(idx_folder, override)
    evaluation = evaluate(trained, load_held_out(trained))
    assert evaluation.accuracy == trained.record.metrics["test/acc"] == evaluation.recorded
    assert evaluation.loss == pytest.approx(trained.record.metrics["test/loss"], abs=1e-6)
    assert evaluation.accuracy_by_step is not None
    assert len(evaluation.accuracy_by_step) == 6
    assert evaluation.accuracy_by_step[-1] == evaluation.accuracy
    assert evaluation.warning == ""


def test_classes_and_confusions_are_those_of_scikit_learn(trained):
    held_out = load_held_out(trained)
    evaluation = evaluate(trained, held_out)
    answers = trained.logits(held_out.values).argmax(dim=1).numpy()
    assert evaluation.confusion == confusion_matrix(held_out.targets, answers, labels=range(4)).tolist()
    settings = {"labels": range(4), "average": None, "zero_division": 0}
    precisions = precision_score(held_out.targets, answers, **settings)
    recalls = recall_score(held_out.targets, answers, **settings)
    assert [score.precision or 0 for score in evaluation.classes] == pytest.approx(precisions)
    assert [score.recall for score in evaluation.classes] == pytest.approx(recalls)


def test_calibration_weighs_the_gap_of_every_bin():
    # Two images of probability 0.9, one of them right; two of 0.6, both right.
    logits = torch.log(torch.tensor([[0.9, 0.1], [0.9, 0.1], [0.4, 0.6], [0.4, 0.6]]))
    error, bins = calibration(logits, torch.tensor([0, 1, 1, 1]), bins=10)
    assert error == pytest.approx((2 * 0.4 + 2 * 0.4) / 4)
    assert [(it.count, it.accuracy) for it in bins] == [(2, 1.0), (2, 0.5)]
    assert [it.confidence for it in bins] == pytest.approx([0.6, 0.9])


@pytest.mark.parametrize("override", ["model.readout=mean", "model.bidirectional=true"])
def test_where_steps_have_no_answers_the_text_says_so(store_file, idx_folder, override):
    trained = train_tiny(idx_folder, override, "trainer.max_steps=1")
    evaluation = evaluate(trained, load_held_out(trained))
    assert evaluation.accuracy_by_step is None
    assert f"No accuracy after each step: {override}" in as_text(evaluation)


def test_other_images_of_the_same_size_are_scored_with_a_warning(trained, tmp_path):
    other = write_data_set(tmp_path / "other", test=30)
    held_out = load_held_out(trained, "idx", str(other))
    assert held_out.warning == "warning: data=idx is not, to the byte, the data that run lstm-h8x1-s0 was trained on"
    evaluation = evaluate(trained, held_out)
    assert (evaluation.count, evaluation.recorded) == (30, None)


def test_images_or_classes_the_network_does_not_know_are_refused(trained, tmp_path):
    with pytest.raises(
        UserError, match="data=mnist_5k: images of 28 x 28, but run lstm-h8x1-s0 was trained on images of 6 x 5"
    ):
        load_held_out(trained, "mnist_5k")
    with pytest.raises(UserError, match=r"data=cifar: allowed is one of .*fashion_mnist, idx"):
        load_held_out(trained, "cifar")
    more = write_data_set(tmp_path / "more", classes=5)
    with pytest.raises(UserError, match="it has the label 4, and run lstm-h8x1-s0 knows 4 classes"):
        load_held_out(trained, "idx", str(more))


@pytest.mark.slow
def test_a_data_set_without_test_files_is_asked_about_the_images_that_test_in_it(store_file):
    result = train(compose_config("trainer=cpu", "trainer.max_steps=2", "model.hidden_size=8"))
    store = open_store("recurrent-cells")
    trained = load_trained(store, find_winner(store, result["run_id"]))
    held_out = load_held_out(trained)
    assert np.array_equal(held_out.targets, load_splits(trained.config.data).test.targets.numpy())
    evaluation = evaluate(trained, held_out)
    assert evaluation.accuracy == trained.record.metrics["test/acc"]
