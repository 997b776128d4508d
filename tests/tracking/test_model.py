"""A network as an MLflow model on disk."""

import json
import logging

import mlflow
import numpy as np
import pytest
import torch
from torch import nn

from recurrent_cells.tracking import model
from recurrent_cells.tracking.model import REQUIREMENTS, save_model


class Mean(nn.Module):
    """Two answers from the mean of an image."""

    def forward(self, images):
        mean = images.mean(dim=(1, 2))
        return torch.stack([mean, -mean], dim=1).softmax(dim=1)


class Weighted(nn.Module):
    """Two answers from the pixels and weights."""

    def __init__(self, seed, sign=1):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(30, 2, generator=torch.Generator().manual_seed(seed)))
        self.sign = sign

    def forward(self, images):
        return (self.sign * images.flatten(1) @ self.weight / 1000).softmax(dim=1)


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


class Large(torch.nn.Module):
    """Has more numbers in its program than weights tell of."""

    def __init__(self) -> None:
        super().__init__()
        self.numbers = torch.arange(1e6)

    def forward(self, x):
        return x.flatten(1).mean(1, keepdim=True) + self.numbers[:3]


@pytest.mark.parametrize("room", [1000, 2_000_000])
def test_a_full_disk_is_an_error_of_the_system_and_not_the_end_of_the_process(tmp_path, images, room):
    import resource
    import signal

    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, limits[1]))
        with pytest.raises(OSError, match="File too large"):
            save_model(tmp_path, "some_run", Large().eval(), images)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, ignored)


@pytest.fixture
def exports(monkeypatch):
    """The networks that were exported."""
    seen = []
    original = model._export
    monkeypatch.setattr(model, "_export", lambda *given: seen.append(given[2]) or original(*given))
    return seen


def saved(folder, network, images, twin, run_id="some_run"):
    folder.mkdir()
    save_model(folder, run_id, network.eval(), images, twin)
    return mlflow.models.Model.load(str(folder / "model")), mlflow.pyfunc.load_model(str(folder / "model"))


def test_a_network_with_other_weights_is_saved_without_an_export(tmp_path, images, exports, monkeypatch):
    monkeypatch.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "false")
    twin, batch = tmp_path / "twins" / "a", images.astype(np.float32)
    first, _ = saved(tmp_path / "1", Weighted(1), images, twin, "first")
    second, loaded = saved(tmp_path / "2", Weighted(2), images, twin, "second")
    assert len(exports) == 1
    assert loaded.predict(batch) == pytest.approx(Weighted(2)(torch.from_numpy(batch)).detach().numpy())
    assert (first.run_id, second.run_id) == ("first", "second")
    assert first.model_uuid != second.model_uuid
    assert first.to_dict().keys() == second.to_dict().keys()
    assert first.signature == second.signature
    assert {path.name for path in (tmp_path / "1" / "model").rglob("*")} == {
        path.name for path in (tmp_path / "2" / "model").rglob("*")
    }


@pytest.mark.parametrize("fault", ["answers otherwise", "cut off", "other weights", "unreadable"])
def test_a_twin_that_is_none_is_not_believed(tmp_path, images, exports, fault):
    twin, batch = tmp_path / "twins" / "a", images.astype(np.float32)
    other = Mean() if fault == "other weights" else Weighted(1, sign=-1 if fault == "answers otherwise" else 1)
    saved(tmp_path / "1", other, images, twin)
    if fault == "unreadable":
        (twin / "MLmodel").unlink()
        (twin / "MLmodel").symlink_to(tmp_path / "nowhere")
    if fault == "cut off":
        program = twin / "data" / "model.pt2"
        program.write_bytes(program.read_bytes()[:1000])
    network = Weighted(2)
    _, loaded = saved(tmp_path / "2", network, images, twin)
    assert exports == [other, network]
    assert loaded.predict(batch) == pytest.approx(network(torch.from_numpy(batch)).detach().numpy())
    saved(tmp_path / "3", Weighted(3), images, twin)
    assert len(exports) == 2  # it was replaced


def test_so_many_twins_are_kept(tmp_path, images, monkeypatch):
    monkeypatch.setattr(model, "MOST_TWINS", 2)
    for number in range(4):
        saved(tmp_path / f"{number}", Weighted(number), images, tmp_path / "twins" / f"{number}")
    assert sorted(path.name for path in (tmp_path / "twins").iterdir()) == ["2", "3"]


def test_without_room_for_twins_networks_are_saved_all_the_same(tmp_path, images):
    (tmp_path / "twins").write_text("not a folder")
    saved(tmp_path / "1", Weighted(1), images, tmp_path / "twins" / "a")
