"""In which type recurrent layers compute, by what they do."""

import pytest
import torch

from recurrent_cells.config.schema import Config, ModelConfig, TrainerConfig
from recurrent_cells.models.classifier import Classifier, build_classifier
from recurrent_cells.models.stacked import StackedClassifier
from recurrent_cells.tables import CELLS
from recurrent_cells.training.device import Device
from tests.models.fake_gpu import LOW, Products, fake_gpu
from tests.models.layers import TORCH

BATCH, STEPS, FEATURES, CLASSES = 4, 6, 5, 3


def classifiers(config: Config, count: int) -> list[Classifier]:
    return [build_classifier(config.model, FEATURES, CLASSES, seed) for seed in range(count)]


def on(device: str, dtype: torch.dtype, separate: list[Classifier]) -> Classifier:
    """One of them on a device, or all of them stacked."""
    if len(separate) > 1:
        return StackedClassifier(separate, torch.device(device), dtype)._network
    return separate[0].to(device, dtype)


@pytest.mark.parametrize("precision", ["bf16-mixed", "16-mixed", "32-true", "64-true"])
@pytest.mark.parametrize("count", [1, 3], ids=["alone", "packed"])
@pytest.mark.parametrize("cell", CELLS.names)
def test_on_a_gpu_layers_compute_in_the_type_of_their_weights(monkeypatch, cell, count, precision):
    config = Config(model=ModelConfig(cell=cell, hidden_size=8, frontend="linear", frontend_size=4))
    device, separate = Device("gpu", precision, "fake"), classifiers(config, count)
    with fake_gpu(monkeypatch, precision) as of_cudnn:
        layers = on("cuda", device.dtype, separate)
        x = torch.empty(*[count] * (count > 1), BATCH, STEPS, FEATURES, dtype=device.dtype, device="cuda")
        with Products() as around:
            x = layers.frontend(x)
        with Products() as within:
            outputs, _ = layers.recurrent(x)
        with around:
            logits = layers.head(outputs)
    expected = device.dtype
    assert within.types == {expected}
    assert set(of_cudnn) == ({expected} if count == 1 and cell in TORCH else set())
    assert outputs.dtype == expected
    assert str(expected) == f"torch.{device.layers_precision(config)}"
    assert around.types == {LOW[precision] or expected}
    assert logits.dtype == (LOW[precision] or expected)


@pytest.mark.parametrize("kernel", ["auto", "reference"])
@pytest.mark.parametrize("count", [1, 3], ids=["alone", "packed"])
@pytest.mark.parametrize("cell", CELLS.names)
def test_on_a_cpu_products_are_in_autocasts_type(monkeypatch, cell, count, kernel):
    config = Config(model=ModelConfig(cell=cell, hidden_size=8, kernel=kernel))
    device = Device("cpu", "bf16-mixed", "cpu")
    layers = on("cpu", torch.float32, classifiers(config, count)).recurrent
    x = torch.randn(*[count] * (count > 1), BATCH, STEPS, FEATURES)
    with torch.autocast("cpu", torch.bfloat16), torch.no_grad(), Products() as seen:
        outputs, _ = layers(x)
    found = seen.types or {outputs.dtype}  # oneDNN's LSTM shows no products
    assert {str(dtype) for dtype in found} == {f"torch.{device.layers_precision(config)}"}


def test_tf32_is_named():
    config, device = Config(trainer=TrainerConfig(tf32=True)), "gpu"
    assert Device(device, "bf16-mixed", "").layers_precision(config) == "tf32"
    assert Device(device, "64-true", "").layers_precision(config) == "float64"
    assert Device("cpu", "32-true", "").layers_precision(config) == "float32"
