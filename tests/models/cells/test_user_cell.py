"""A cell in a file outside the package needs its shapes and its step, and trains alone and at once."""

import importlib.util

import pytest
import torch

from recurrent_cells.config.schema import ModelConfig
from recurrent_cells.errors import UserError
from recurrent_cells.models.classifier import build_classifier, num_parameters
from recurrent_cells.models.stacked import StackedClassifier
from recurrent_cells.tables import CELLS
from tests.models.test_stacked import gradients_of_all

CELL = '''
from recurrent_cells.models.cells import Cell, gate_shapes, linear


class MixedGRU(Cell):
    """A GRU with one more gate m, which mixes the state before into the new one's place."""

    name, label, color, source = "mixed_gru", "MixedGRU", "#CC79A7", "nowhere"

    def shapes(self, input_size, hidden_size):
        return gate_shapes(4, input_size, hidden_size)

    def step(self, inputs, state, weights):
        (h,) = state
        r, z, m, n = inputs.chunk(4, dim=-1)
        of_r, of_z, of_m, of_n = linear(h, weights["weight_hh"], weights["bias_hh"]).chunk(4, dim=-1)
        z, m = (z + of_z).sigmoid(), (m + of_m).sigmoid()
        n = (n + (r + of_r).sigmoid() * of_n).tanh()
        return (z * h + (1 - z) * (m * n + (1 - m) * h),)
'''
INHERITING = """
from recurrent_cells.models.cells.gru import GRU


class Halved(GRU):
    name = "halved_gru"

    def step(self, inputs, state, weights):
        return (0.5 * super().step(inputs, state, weights)[0],)
"""


@pytest.fixture
def added(tmp_path):
    """Adds the class of some source text to the cells."""

    def add(text: str, name: str) -> None:
        path = tmp_path / "my_cell.py"
        path.write_text(text)
        spec = importlib.util.spec_from_file_location("my_cell", path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        CELLS.add(getattr(module, name))

    yield add
    CELLS.clear()


def by_hand(classifier, x):
    """Logits (B, C) of one layer after the last step, one sequence and step after the other."""
    layers = classifier.recurrent
    weights = layers.weights(0, "")
    rows = []
    for sequence in x:
        h = torch.zeros(1, layers.hidden_size, dtype=x.dtype)
        for row in sequence:
            gates = row[None] @ weights["weight_ih"].T + weights["bias_ih"]
            (h,) = layers.cell.step(gates, (h,), weights)
        rows.append(h)
    return classifier.head(torch.cat(rows))


@pytest.mark.parametrize("init", ["torch", "keras"])
@pytest.mark.parametrize(("text", "name"), [(CELL, "MixedGRU"), (INHERITING, "Halved")])
def test_a_user_s_cell_trains_alone_and_at_once(added, text, name, init):
    added(text, name)
    model = ModelConfig(cell={"MixedGRU": "mixed_gru", "Halved": "halved_gru"}[name], hidden_size=7, init=init)
    alone = [build_classifier(model, 5, 3, seed).double() for seed in range(3)]
    together = StackedClassifier(alone, torch.device("cpu"), torch.float64)
    x = torch.randn(3, 4, 6, 5, dtype=torch.float64)
    logits = together(x)
    gradients = gradients_of_all(together, logits.sin().sum(dim=(1, 2)))
    for k, network in enumerate(alone):
        expected = by_hand(network, x[k])
        of_hand = torch.autograd.grad(expected.sin().sum(), list(network.parameters()))
        found = network(x[k])
        of_found = torch.autograd.grad(found.sin().sum(), list(network.parameters()))
        torch.testing.assert_close(found, expected)
        torch.testing.assert_close(of_found, of_hand)
        torch.testing.assert_close(logits[k], expected)
        torch.testing.assert_close(gradients[k], torch.cat([it.flatten() for it in of_hand]))


def test_a_user_s_cell_counts_its_parameters_and_takes_dropout_depth_and_directions(added):
    added(CELL, "MixedGRU")
    model = ModelConfig(cell="mixed_gru", hidden_size=6, num_layers=2, bidirectional=True, dropout=0.5, biases=1)
    classifier = build_classifier(model, 5, 3, seed=0)
    sizes = 4 * 6 * (5 + 6 + 1), 4 * 6 * (12 + 6 + 1)
    assert num_parameters(classifier) == 2 * sum(sizes) + 3 * (12 + 1)
    assert classifier(torch.randn(2, 4, 5)).shape == (2, 3)


def test_a_user_s_cell_is_exported(added):
    added(CELL, "MixedGRU")
    classifier = build_classifier(ModelConfig(cell="mixed_gru", hidden_size=6), 5, 3, seed=0).eval()
    x = torch.randn(4, 6, 5)
    program = torch.export.export(classifier, (x[:2],), dynamic_shapes=[{0: torch.export.Dim.AUTO}])
    torch.testing.assert_close(program.module()(x), classifier(x))


def test_a_route_written_for_another_step_is_refused(added):
    added(INHERITING, "Halved")
    with pytest.raises(UserError, match=r"^model.kernel=numpy: .*halved_gru.* auto, reference$"):
        build_classifier(ModelConfig(cell="halved_gru", kernel="numpy"), 5, 3, seed=0)
