"""Networks as files for other programs."""

import importlib.util

import pytest
import torch

from recurrent_cells.data.examples import load_examples
from recurrent_cells.errors import ExportError, UserError
from recurrent_cells.inference import export as exporting
from recurrent_cells.inference.export import ONNX_PACKAGES, check_packages, export
from recurrent_cells.tables import CELLS
from tests.support import train_tiny, without_classes

MISSING = [name for name in ONNX_PACKAGES if importlib.util.find_spec(name) is None]
FORMATS = [
    "torch",
    pytest.param("onnx", marks=pytest.mark.skipif(bool(MISSING), reason=f"no {', '.join(MISSING)}")),
]
NETWORKS = [
    ["model=simple_rnn", "model.readout=every"],
    ["model=lstm", "model.num_layers=2", "data.sequence=columns"],
    ["model=gru", "model.bidirectional=true"],
    ["model=gru", "model.readout=flatten"],
    ["model=lstm", "model.block=residual", "model.num_layers=2", "model.bidirectional=true"],
    ["model.frontend=conv", "model.frontend_size=2", "model.readout=mean", "data.sequence=image"],
]


@pytest.mark.slow
@pytest.mark.parametrize("overrides", NETWORKS, ids=["simple_rnn", "lstm", "gru", "flat", "blocks", "conv"])
@pytest.mark.parametrize("form", FORMATS)
def test_the_file_answers_as_the_network(store_file, idx_folder, tmp_path, form, overrides):
    trained = train_tiny(idx_folder, "trainer.max_steps=2", *overrides)
    path = tmp_path / f"network.{form}"
    assert export(trained, form, path) <= 1e-5
    assert path.stat().st_size > 1000


@pytest.mark.slow
@pytest.mark.parametrize("cell", sorted({*CELLS.names} - {"simple_rnn", "lstm", "gru"}))
@pytest.mark.parametrize("form", FORMATS)
def test_every_cell_is_written_and_answers_after_each_step(store_file, idx_folder, tmp_path, form, cell):
    trained = train_tiny(idx_folder, "trainer.max_steps=2", f"model={cell}", "model.block=residual")
    assert export(trained, form, tmp_path / f"network.{form}") <= 1e-5
    images = load_examples(trained.config.data).test.values[:5]
    torch.testing.assert_close(trained.logits_by_step(images)[:, -1], trained.logits(images))


def test_a_network_without_classes_is_exported_as_any(store_file, idx_folder, tmp_path, monkeypatch):
    trained = train_tiny(idx_folder, "trainer.max_steps=2")
    without_classes(monkeypatch)
    assert export(trained, "torch", tmp_path / "network.pt2") <= 1e-5


def test_the_program_takes_any_number_of_images(store_file, idx_folder, tmp_path):
    trained = train_tiny(idx_folder, "trainer.max_steps=2")
    export(trained, "torch", tmp_path / "network.pt2")
    program = torch.export.load(tmp_path / "network.pt2").module()
    images = load_examples(trained.config.data).test.values
    for count in (1, 7):
        answers = program(torch.from_numpy(images[:count].astype("float32")))
        assert torch.allclose(answers, trained.logits(images[:count]), atol=1e-5)


def test_a_file_that_answers_otherwise_is_removed(store_file, idx_folder, tmp_path, monkeypatch):
    trained = train_tiny(idx_folder, "trainer.max_steps=2")
    monkeypatch.setattr(
        exporting, "_program_logits", lambda path, images: trained.logits(images.astype("uint8")).numpy() + 2e-4
    )
    with pytest.raises(ExportError, match=r"its outputs differ by up to 2\.0e-04 .* the file was removed"):
        export(trained, "torch", tmp_path / "network.pt2")
    assert not (tmp_path / "network.pt2").exists()


def test_missing_packages_are_named_with_the_way_to_get_them(monkeypatch):
    monkeypatch.setattr(exporting, "find_spec", lambda name: None)
    check_packages("torch")
    with pytest.raises(UserError, match=r"onnx, onnxruntime, onnxscript; pip install 'recurrent-cells\[onnx\]'"):
        check_packages("onnx")
