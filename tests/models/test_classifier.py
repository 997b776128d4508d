import pytest
import torch

from recurrent_cells.config.schema import ModelConfig
from recurrent_cells.models.classifier import build_classifier, num_parameters
from recurrent_cells.tables import CELLS


@pytest.mark.parametrize("cell", CELLS.names)
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize(
    ("frontend", "readout", "shape"),
    [
        ("none", "last", (5, 3)),
        ("none", "mean", (5, 3)),
        ("none", "every", (5, 7, 3)),
        ("none", "flatten", (5, 3)),
        ("linear", "every", (5, 7, 3)),
        ("conv", "every", (5, 8 * 7, 3)),
    ],
)
def test_logits_have_one_row_per_answer(cell, bidirectional, frontend, readout, shape):
    model = ModelConfig(
        cell=cell,
        hidden_size=8,
        num_layers=2,
        bidirectional=bidirectional,
        frontend=frontend,
        frontend_size=8,
        readout=readout,
    )
    classifier = build_classifier(model, num_features=4, num_outputs=3, seed=0, num_steps=7)
    assert classifier(torch.rand(5, 7, 4)).shape == shape


@pytest.mark.parametrize("bidirectional", [False, True])
def test_a_flat_readout_weighs_each_step_by_itself(bidirectional):
    model = ModelConfig(cell="gru", hidden_size=4, bidirectional=bidirectional, readout="flatten")
    classifier = build_classifier(model, 3, 2, seed=0, num_steps=5)
    x = torch.rand(6, 5, 3)
    outputs, _ = classifier.recurrent(x)
    linear = classifier.head[0]
    weights = linear.weight.view(2, 5, -1)
    expected = torch.einsum("bth,cth->bc", outputs, weights) + linear.bias
    torch.testing.assert_close(classifier(x), expected)


@pytest.mark.parametrize(
    ("cell", "head", "parameters"),
    [
        ("simple_rnn", ["linear"], 4460),
        ("simple_rnn", ["linear", "softmax", "linear"], 4570),
        ("lstm", ["linear"], 16310),
    ],
)
def test_parameter_counts_are_those_of_the_recipes(cell, head, parameters):
    model = ModelConfig(cell=cell, hidden_size=50, biases=1, head=head)
    assert num_parameters(build_classifier(model, 28, 10, seed=0)) == parameters


@pytest.mark.parametrize("cell", CELLS.names)
@pytest.mark.parametrize("num_layers", [1, 2])
def test_the_last_step_is_the_last_of_all_outputs_and_that_of_a_backward_layer_is_the_first(cell, num_layers):
    for bidirectional in (False, True):
        model = ModelConfig(cell=cell, hidden_size=4, num_layers=num_layers, bidirectional=bidirectional)
        classifier = build_classifier(model, 3, 2, seed=0)
        x = torch.rand(2, 5, 3)
        outputs, _ = classifier.recurrent(x)
        backward = [outputs[:, 0, 4:]] if bidirectional else []
        expected = classifier.head(torch.cat([outputs[:, -1, :4], *backward], dim=1))
        torch.testing.assert_close(classifier(x), expected)


def test_weights_depend_on_the_seed_alone():
    torch.manual_seed(1)
    one = build_classifier(ModelConfig(), 28, 10, seed=0).state_dict()
    torch.manual_seed(2)
    same = build_classifier(ModelConfig(), 28, 10, seed=0).state_dict()
    other = build_classifier(ModelConfig(), 28, 10, seed=1).state_dict()
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not torch.equal(one["recurrent.weight_hh_l0"], other["recurrent.weight_hh_l0"])


def test_building_leaves_the_random_state_alone():
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    build_classifier(ModelConfig(hidden_size=4), 4, 2, seed=0)
    assert torch.equal(torch.rand(2), expected)
