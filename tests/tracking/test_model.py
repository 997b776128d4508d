"""A network as an MLflow model on disk."""

import json
import logging

import mlflow
import numpy as np
import pytest
import torch
from torch import nn

from src.tracking.model import REQUIREMENTS, save_model


class Mean(nn.Module):
    """Two answers from the mean of an image."""

    def forward(self, images):
        mean = images.mean(dim=(1, 2))
        return torch.stack([mean, -mean], dim=1).softmax(dim=1)


class Undecided(nn.Module):
    """What cannot be exported: control flow that depends on values."""

    def forward(self, images):
        return images.flatten(1) if images.sum() > 0 else images.flatten(1) + 1


@pytest.fixture
def images():
    return np.random.RandomState(0).randint(0, 256, (3, 6, 5)).astype(np.uint8)


def test_it_says_what_it_takes_and_gives_and_needs(tmp_path, images):
    save_model(tmp_path, "some_run", Mean().eval(), images)
    info = mlflow.models.get_model_info(str(tmp_path / "model"))
    assert info.run_id == "some_run"
    assert info.signature.inputs.to_dict()[0]["tensor-spec"] == {"dtype": "float32", "shape": (-1, 6, 5)}
    assert info.signature.outputs.to_dict()[0]["tensor-spec"] == {"dtype": "float32", "shape": (-1, 2)}
    requirements = (tmp_path / "model" / "requirements.txt").read_text().splitlines()
    assert [line.partition("==")[0] for line in requirements] == list(REQUIREMENTS)
    example = json.loads((tmp_path / "model" / "serving_input_example.json").read_text())
    assert np.array(example["inputs"]).shape == (2, 6, 5)


def test_it_answers_for_any_number_of_images_and_holds_no_pickle(tmp_path, images, monkeypatch):
    monkeypatch.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "false")
    save_model(tmp_path, "some_run", Mean().eval(), images[:1])
    for count in (1, 3):
        batch = images[:count].astype(np.float32)
        expected = Mean()(torch.from_numpy(batch)).numpy()
        assert mlflow.pyfunc.load_model(str(tmp_path / "model")).predict(batch) == pytest.approx(expected)
        loaded = mlflow.pytorch.load_model(str(tmp_path / "model"))
        assert loaded(torch.from_numpy(batch)).numpy() == pytest.approx(expected)


def test_it_may_be_saved_again(tmp_path, images):
    for _ in range(2):
        save_model(tmp_path, "some_run", Mean().eval(), images)
    assert (tmp_path / "model" / "MLmodel").exists()


def test_a_network_that_cannot_be_exported_is_a_warning(tmp_path, images, caplog):
    with caplog.at_level(logging.WARNING):
        save_model(tmp_path, "some_run", Undecided().eval(), images)
    assert "the network could not be saved as an MLflow model" in caplog.text
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_an_error_of_the_system_and_not_the_end_of_the_process(tmp_path, images):
    import resource
    import signal

    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
        with pytest.raises(OSError, match="File too large"):
            save_model(tmp_path, "some_run", Mean().eval(), images)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, ignored)
