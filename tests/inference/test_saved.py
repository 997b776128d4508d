"""The MLflow model that a trial leaves."""

import json
import os
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import mlflow
import numpy as np
import pytest
import torch

from recurrent_cells import paths
from recurrent_cells.data.examples import load_examples
from tests.support import train_tiny, within, without_classes


def what_it_thinks(trained):
    """The test images, and the probabilities that the network of a trial has for them."""
    images = load_examples(trained.config.data).test.values
    assert images is not None
    return images, trained.logits(images).softmax(dim=1).numpy()


@pytest.mark.slow
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
    images, expected = what_it_thinks(trained)
    mlflow.set_tracking_uri(f"sqlite:///{store_file}")
    place = f"runs:/{trained.record.run_id}/model"
    answers = mlflow.pyfunc.load_model(place).predict(images.astype(np.float32))
    assert answers == pytest.approx(expected, abs=1e-6)
    with torch.inference_mode():
        answers = mlflow.pytorch.load_model(place)(torch.from_numpy(images.astype(np.float32)))
    assert answers.numpy() == pytest.approx(expected, abs=1e-6)


@pytest.mark.slow
def test_trials_that_differ_in_their_weights_share_an_export_and_others_do_not(store_file, idx_folder, monkeypatch):
    mlflow.set_tracking_uri(f"sqlite:///{store_file}")
    shared = store_file.parent / "exports"
    monkeypatch.setattr(paths, "EXPORTS", shared)
    for overrides, exports in (
        (["seed=0"], 1),
        (["seed=1", "optimizer.lr=0.1"], 1),
        (["seed=1", "data.normalize=unit"], 2),
        (["seed=1", "model.init=torch"], 3),
    ):
        trained = train_tiny(idx_folder, "registry=true", "trainer.max_steps=2", *overrides)
        images, expected = what_it_thinks(trained)
        loaded = mlflow.pyfunc.load_model(f"runs:/{trained.record.run_id}/model")
        assert loaded.predict(images.astype(np.float32)) == pytest.approx(expected, abs=1e-6)
        assert len(list(shared.iterdir())) == exports


@pytest.mark.slow
def test_without_classes_it_answers_with_the_outputs(store_file, idx_folder, monkeypatch):
    without_classes(monkeypatch)
    trained = train_tiny(idx_folder, "registry=true", "trainer.max_steps=2")
    images = load_examples(trained.config.data).test.values
    assert images is not None
    mlflow.set_tracking_uri(f"sqlite:///{store_file}")
    answers = mlflow.pyfunc.load_model(f"runs:/{trained.record.run_id}/model").predict(images.astype(np.float32))
    assert answers == pytest.approx(trained.logits(images).numpy(), abs=1e-5)


def test_without_the_registry_a_trial_leaves_none(store_file, idx_folder):
    trained = train_tiny(idx_folder, "registry=false", "trainer.max_steps=2")
    assert not (store_file.parent / "artifacts" / trained.record.run_id / "artifacts" / "model").exists()


@pytest.mark.slow
def test_mlflow_serves_it(store_file, idx_folder, tmp_path):
    trained = train_tiny(idx_folder, "registry=true")
    images = load_examples(trained.config.data).test.values
    assert images is not None
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    model = store_file.parent / "artifacts" / trained.record.run_id / "artifacts" / "model"
    command = ("models", "serve", "-m", str(model), "--env-manager", "local", "-h", "127.0.0.1", "-p", str(port))
    with (tmp_path / "server.log").open("w") as log:
        # MLflow starts uvicorn by its name.
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        environment = os.environ | {"PATH": path}
        server = subprocess.Popen([sys.executable, "-m", "mlflow", *command], stdout=log, stderr=log, env=environment)
    try:
        within(120, lambda: answers(f"http://127.0.0.1:{port}/ping"))
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/invocations",
            json.dumps({"inputs": images.tolist()}).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=30) as response:
            predictions = json.loads(response.read())["predictions"]
    finally:
        server.terminate()
        server.wait(timeout=30)
    assert np.array(predictions) == pytest.approx(trained.logits(images).softmax(dim=1).numpy(), abs=1e-5)


def answers(address):
    try:
        urllib.request.urlopen(address, timeout=5).close()
    except OSError:
        return False
    return True
