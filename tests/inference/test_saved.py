"""The MLflow model that a trial leaves."""

import mlflow
import numpy as np
import pytest
import torch

from src.data.images import load_images
from tests.support import train_tiny


@pytest.mark.parametrize(
    "overrides",
    [
        ["model=gru", "data.normalize=unit"],
        ["model.readout=every", "data.sequence=columns"],
        ["data.sequence=image", "model.bidirectional=true", "model.num_layers=2"],
        ["model.frontend=conv", "model.frontend_size=2", "model.readout=mean", "model.output_dropout=0.5"],
    ],
)
def test_it_answers_with_the_probabilities_of_the_best_network(store_file, idx_folder, monkeypatch, overrides):
    monkeypatch.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "false")
    trained = train_tiny(idx_folder, "registry=true", "trainer.max_steps=2", *overrides)
    images = load_images(trained.config.data).test_images
    assert images is not None
    expected = trained.logits(images).softmax(dim=1).numpy()
    mlflow.set_tracking_uri(f"sqlite:///{store_file}")
    place = f"runs:/{trained.record.run_id}/model"
    answers = mlflow.pyfunc.load_model(place).predict(images.astype(np.float32))
    assert answers == pytest.approx(expected, abs=1e-6)
    with torch.inference_mode():
        answers = mlflow.pytorch.load_model(place)(torch.from_numpy(images.astype(np.float32)))
    assert answers.numpy() == pytest.approx(expected, abs=1e-6)


def test_without_the_registry_a_trial_leaves_none(store_file, idx_folder):
    trained = train_tiny(idx_folder, "registry=false", "trainer.max_steps=2")
    assert not (store_file.parent / "artifacts" / trained.record.run_id / "artifacts" / "model").exists()
