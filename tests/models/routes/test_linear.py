"""Linear recurrences by the scan: as by the cell's own step, alone and at once, both ways, with lengths, exported."""

import pytest
import torch
from torch import nn

from recurrent_cells.config.schema import ModelConfig
from recurrent_cells.errors import UserError
from recurrent_cells.models.cells import LinearCell
from recurrent_cells.models.classifier import build_classifier
from recurrent_cells.models.layers import RecurrentLayers
from recurrent_cells.models.routes import linear, reference
from recurrent_cells.models.routes.linear_scan import associative_scan, scan
from recurrent_cells.tables import CELLS
from tests.models.layers import results, taken

LINEAR = [name for name in CELLS.names if issubclass(CELLS[name], LinearCell)]
LENGTHS = torch.tensor([6, 1, 4, 5])
# Small states, so that tests are fast.
OPTIONS = {name: {"state_size": 4} for name in LINEAR if "state_size" in CELLS[name].options}


@pytest.fixture(params=[(1, 0), (200, 0), (200, 1 << 20), (1 << 20, 1 << 20)], ids=["steps", "pieces", "kept", "whole"])
def pieces(request, monkeypatch):
    """Layers are computed in pieces of so many numbers, and of small ones all is kept."""
    monkeypatch.setitem(linear.PIECE, "cpu", request.param[0])
    monkeypatch.setattr(linear, "RECORDED", request.param[1])


def layers(cell: str, kernel: str = "auto", seed: int = 0, **settings) -> RecurrentLayers:
    """In float64, with the weights that the cell begins with."""
    torch.manual_seed(seed)
    found = RecurrentLayers(cell, 5, 7, kernel=kernel, options=OPTIONS.get(cell), **settings)
    found.initialize("torch", None)
    return found.double()


def stacked(alone: list[RecurrentLayers], **settings) -> RecurrentLayers:
    together = layers(alone[0].cell.name, **settings)
    for name, _ in list(together.named_parameters()):
        values = torch.stack([network.get_parameter(name).detach() for network in alone])
        together.register_parameter(name, nn.Parameter(values))
    return together


@pytest.mark.parametrize("cell", LINEAR)
@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["whole", "lengths"])
@pytest.mark.parametrize("settings", [{}, {"num_layers": 2, "bidirectional": True}], ids=["one", "two-both"])
def test_the_scan_gives_what_the_steps_give(monkeypatch, pieces, cell, lengths, settings):
    x = torch.randn(4, 6, 5, dtype=torch.float64)
    given = () if lengths is None else (lengths,)
    expected = results(layers(cell, "reference", **settings), x, *given)
    routes = taken(monkeypatch)
    found = results(layers(cell, **settings), x, *given)
    assert set(routes) == {linear}
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-11)


@pytest.mark.parametrize("cell", LINEAR)
@pytest.mark.parametrize("last", [True, False], ids=["last", "every"])
def test_a_loss_may_read_the_last_output_alone_or_all(pieces, cell, last):
    x = torch.randn(4, 6, 5, dtype=torch.float64)

    def gradients(kernel):
        network = layers(cell, kernel)
        outputs, ends = network(x)
        return torch.autograd.grad((ends[0] if last else outputs).sin().sum(), list(network.parameters()))

    torch.testing.assert_close(gradients("scan"), gradients("reference"), rtol=1e-10, atol=1e-11)


@pytest.mark.parametrize("cell", LINEAR)
@pytest.mark.parametrize("kernel", ["reference", "auto"])
@pytest.mark.parametrize("lengths", [None, torch.stack([LENGTHS, LENGTHS.flip(0), LENGTHS])], ids=["whole", "lengths"])
def test_three_networks_at_once_are_each_of_them_alone(cell, kernel, lengths):
    settings = {"bidirectional": True, "kernel": kernel}
    alone = [layers(cell, seed=seed, **settings) for seed in range(3)]
    x = torch.randn(3, 4, 6, 5, dtype=torch.float64)
    found = results(stacked(alone, **settings), x, *([] if lengths is None else [lengths]))
    for k, network in enumerate(alone):
        expected = results(network, x[k], *([] if lengths is None else [lengths[k]]))
        torch.testing.assert_close([it[k] for it in found], expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("cell", LINEAR)
def test_gradients_are_those_of_differences(pieces, cell):
    network = layers(cell)
    names = [name for name, _ in network.named_parameters()]

    def computed(x, *weights):
        outputs, last = torch.func.functional_call(network, dict(zip(names, weights, strict=True)), (x,))
        return outputs, *last

    x = torch.randn(2, 3, 5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(computed, (x, *network.parameters()), atol=1e-6, fast_mode=True)


@pytest.mark.parametrize("cell", LINEAR)
def test_what_stands_in_the_padding_changes_no_bit(cell):
    network = layers(cell, num_layers=2, bidirectional=True).float()
    x = torch.randn(4, 6, 5)
    padding = (torch.arange(6) >= LENGTHS[:, None]).unsqueeze(-1)
    expected = results(network, x.masked_fill(padding, 0.5), LENGTHS)
    for value in (-7.0, float("nan"), float("inf")):
        network.zero_grad()
        for ours, theirs in zip(results(network, x.masked_fill(padding, value), LENGTHS), expected, strict=True):
            assert torch.equal(ours, theirs)


@pytest.mark.parametrize("cell", LINEAR)
def test_autocast_lowers_products_and_not_the_state(cell):
    network, x = layers(cell).float(), torch.randn(4, 6, 5)
    exact = results(network, x)
    network.zero_grad()
    with torch.autocast("cpu", torch.bfloat16):
        outputs, _ = network(x)
    outputs.sum().backward()  # with autocast off, as torch advises
    assert outputs.dtype == torch.float32
    assert 0 < (outputs - exact[0]).abs().max() < 0.05
    assert all(parameter.grad.dtype == torch.float32 for parameter in network.parameters())


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of torch about itself
@pytest.mark.parametrize("cell", LINEAR)
def test_a_program_is_exported_for_any_number_of_steps(cell):
    model = ModelConfig(cell=cell, hidden_size=6, bidirectional=True, options=OPTIONS.get(cell, {}))
    classifier = build_classifier(model, 5, 3, seed=0).eval()
    x = torch.randn(4, 6, 5)
    shapes = [dict.fromkeys((0, 1), torch.export.Dim.AUTO)]
    with torch.no_grad():  # of complex numbers torch can export no gradients
        program = torch.export.export(classifier, (x[:2],), dynamic_shapes=shapes).module()
    torch.testing.assert_close(program(x), classifier(x))
    torch.testing.assert_close(program(x[:, :3]), classifier(x[:, :3]))


@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128])
@pytest.mark.parametrize("count", [1, 2, 3, 4, 7, 8, 17])
def test_the_associative_scan_is_the_loop(count, dtype):
    links = torch.randn(2, count - 1, 3, 5, dtype=dtype)
    b = torch.randn(2, count, 3, 5, dtype=dtype)
    torch.testing.assert_close(associative_scan(links, b), scan(links, b, None, reverse=False))


def test_a_scan_starts_from_a_state_and_goes_both_ways():
    b, start = torch.randn(4, 3, 5, dtype=torch.float64), torch.randn(3, 5, dtype=torch.float64)
    link = torch.rand(1, 1, 5, dtype=torch.float64)
    expected = [b[3] + start]
    for t in (2, 1, 0):
        expected.append(link[0] * expected[-1] + b[t])
    torch.testing.assert_close(scan(link, b, start, reverse=True), torch.stack(expected[::-1]))
    turned = scan(link, b.flip(0), start, reverse=False)
    torch.testing.assert_close(turned.flip(0), torch.stack(expected[::-1]))


def test_the_kernels_of_a_linear_cell():
    with pytest.raises(UserError, match=r"^model.kernel=numpy: .* min_gru .*auto, reference, scan$"):
        RecurrentLayers("min_gru", 5, 7, kernel="numpy")
    with pytest.raises(UserError, match=r"^model.kernel=scan: "):
        RecurrentLayers("gru", 5, 7, kernel="scan")


def test_a_step_of_its_own_is_not_left_to_the_scan(monkeypatch):
    class Halved(CELLS["min_gru"]):
        name = "halved_min_gru"

        def step(self, inputs, state, weights):
            return (0.5 * super().step(inputs, state, weights)[0],)

    CELLS.add(Halved)
    try:
        routes = taken(monkeypatch)
        RecurrentLayers("halved_min_gru", 5, 7)(torch.randn(2, 3, 5))
        assert routes == [reference]
    finally:
        CELLS.clear()
