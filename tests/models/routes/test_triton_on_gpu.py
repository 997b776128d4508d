"""The kernels compiled, on a GPU: they give what the reference does in float64, as near as their products are exact."""

from collections.abc import Iterator

import pytest
import torch

from recurrent_cells.models.routes import triton
from recurrent_cells.training.device import use_tf32
from recurrent_cells.training.graph import graphed
from tests.models.layers import CELLS, results, taken
from tests.models.routes.test_triton import pair

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
]
# Of the largest number of a result.
TOLERANCES = {"ieee": 1e-5, "tf32": 1e-2, "bf16": 5e-2, "fp16": 1e-2}


@pytest.fixture(params=TOLERANCES)
def products(request) -> Iterator[str]:
    """How exact products are, with TF32 set as training sets it."""
    before = torch.backends.cuda.matmul.allow_tf32
    use_tf32(request.param == "tf32")
    yield request.param
    use_tf32(before)


def on_gpu(cell: str, products: str, hidden_size: int, networks: int | None, **settings):
    """Layers by the kernels and by the reference, on a GPU, and how to run the former."""
    ours, exact = (layers.cuda() for layers in pair(cell, hidden_size, networks, **settings))
    low = triton.PRODUCTS[products]
    return ours, exact, torch.autocast("cuda", low, enabled=low != torch.float32)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize(
    ("networks", "batch", "steps", "hidden_size", "settings"),
    [
        (None, 5, 7, 50, {"bidirectional": True}),
        (3, 37, 1, 17, {"biases": 1}),
        (64, 64, 28, 50, {}),
        (None, 64, 28, 128, {"num_layers": 2}),
    ],
    ids=str,
)
def test_outputs_and_gradients(monkeypatch, cell, products, networks, batch, steps, hidden_size, settings):
    routes = taken(monkeypatch)
    ours, exact, precision = on_gpu(cell, products, hidden_size, networks, **settings)
    x = torch.randn(*([] if networks is None else [networks]), batch, steps, 3, device="cuda")
    with precision:
        found = results(ours, x)
    if set(routes) != {triton}:
        assert triton.blocks(ours.cell, hidden_size, products, backward=True) is None
        pytest.skip("the weights do not fit")
    for mine, theirs in zip(found, results(exact, x.double()), strict=True):
        bound = TOLERANCES[products] * max(1.0, theirs.abs().max().item())
        torch.testing.assert_close(mine.double(), theirs, rtol=0, atol=bound)


@pytest.mark.parametrize("cell", CELLS)
def test_a_graph_replays_them_to_the_bit(cell, products):
    layers, _, precision = on_gpu(cell, products, 50, 3)

    def gradients(x):
        with precision:
            outputs, last = layers(x)
        return torch.autograd.grad(outputs.sum() + last[-1].sin().sum(), list(layers.parameters()))

    first, second = torch.randn(2, 3, 37, 7, 3, device="cuda")
    replay = graphed(gradients, [first])
    assert replay is not None
    assert all(map(torch.equal, replay(second), gradients(second)))
