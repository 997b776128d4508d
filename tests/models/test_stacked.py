import itertools

import pytest
import torch
from torch import Tensor

from recurrent_cells.config.schema import ModelConfig
from recurrent_cells.models.classifier import Classifier, build_classifier
from recurrent_cells.models.stacked import StackedClassifier
from recurrent_cells.tables import CELLS

SEEDS = (0, 1, 7)
BATCH, STEPS, FEATURES, CLASSES = 4, 6, 5, 3


def networks(*models: ModelConfig) -> tuple[list[Classifier], StackedClassifier]:
    """Classifiers of different seeds in float64, and the same stacked."""
    models = models if len(models) > 1 else models * len(SEEDS)
    separate = [
        build_classifier(model, FEATURES, CLASSES, seed).double()
        for model, seed in zip(models, range(len(models)), strict=True)
    ]
    return separate, StackedClassifier(separate, torch.device("cpu"), torch.float64)


def sequences(count: int) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(count, BATCH, STEPS, FEATURES, generator=generator, dtype=torch.float64)


def gradients_of(network: Classifier, loss: Tensor) -> Tensor:
    """Of one network, in a row."""
    found = torch.autograd.grad(loss, [p for p in network.parameters() if p.requires_grad])
    return torch.cat([gradient.flatten() for gradient in found])


def gradients_of_all(networks: StackedClassifier, losses: Tensor) -> Tensor:
    """Of each network by its own weights, a row each."""
    found = torch.autograd.grad(losses.sum(), networks.trained)
    return torch.cat([gradient.flatten(1) for gradient in found], dim=1)


@pytest.mark.parametrize(
    "model",
    [
        *(
            ModelConfig(cell=cell, hidden_size=8, num_layers=layers, bidirectional=both)
            for cell, layers, both in itertools.product(CELLS.names, (1, 3), (False, True))
        ),
        ModelConfig(cell="gru", hidden_size=7, kernel="torch", readout="every", biases=1),
        ModelConfig(cell="lstm", hidden_size=7, num_layers=2, block="residual", bidirectional=True),
        ModelConfig(cell="gru", hidden_size=7, num_layers=3, block="residual", readout="mean", init="keras"),
        ModelConfig(cell="lstm", hidden_size=7, readout="mean", frontend="linear", frontend_size=4, init="keras"),
        ModelConfig(cell="simple_rnn", hidden_size=7, frontend="conv", frontend_size=2),
        ModelConfig(cell="lstm", hidden_size=7, head=["linear", "tanh", "linear"], bidirectional=True),
    ],
    ids=lambda model: f"{model.cell}-{model.num_layers}-{model.bidirectional}-{model.frontend}-{model.readout}",
)
def test_each_network_of_a_stack_answers_and_learns_as_alone(model):
    separate, stacked = networks(model)
    x = sequences(len(separate))
    torch.testing.assert_close(stacked(x), torch.stack([net(it) for net, it in zip(separate, x, strict=True)]))

    weight = torch.randn_like(stacked(x))
    together = gradients_of_all(stacked, (stacked(x) * weight).flatten(1).sum(dim=1))
    for gradient, network, it, factor in zip(together, separate, x, weight, strict=True):
        torch.testing.assert_close(gradient, gradients_of(network, (network(it) * factor).sum()))


@pytest.mark.parametrize("cell", ["simple_rnn", "lstm", "gru"])
@pytest.mark.parametrize("readout", ["last", "every", "mean"])
def test_dropout_differs_in_a_stack_and_drops_what_it_drops_alone(cell, readout):
    rates = ((0.5, 0.2), (0.0, 0.7), (0.3, 0.0))
    models = [
        ModelConfig(cell=cell, hidden_size=9, num_layers=3, readout=readout, dropout=inner, output_dropout=outer)
        for inner, outer in rates
    ]
    separate, stacked = networks(*models)
    x = sequences(len(rates))
    for seed, generator in zip(SEEDS, stacked.generators, strict=True):
        generator.manual_seed(seed)
    together = stacked.train()(x)
    for seed, network, it, logits in zip(SEEDS, separate, x, together, strict=True):
        torch.manual_seed(seed)
        torch.testing.assert_close(logits, network.train()(it))
    assert not torch.allclose(together, stacked.eval()(x))


def test_weights_of_one_network_by_their_names():
    separate, stacked = networks(ModelConfig(cell="gru", hidden_size=4, biases=1))
    alone = {name: value for name, value in separate[1].named_parameters() if value.requires_grad}
    found = stacked.weights(stacked.flat[1])
    assert found.keys() == alone.keys()
    assert all(torch.equal(found[name], alone[name]) for name in alone)


def test_a_network_that_diverges_leaves_its_neighbours_alone():
    separate, stacked = networks(ModelConfig(cell="lstm", hidden_size=5, num_layers=2))
    stacked.flat[1] = torch.nan
    x = sequences(len(separate))
    gradients = gradients_of_all(stacked, stacked(x).sum(dim=(1, 2)))
    assert gradients[1].isnan().any()
    for index in (0, 2):
        alone = gradients_of(separate[index], separate[index](x[index]).sum())
        torch.testing.assert_close(gradients[index], alone)


def test_products_in_low_precision_and_the_rest_in_full():
    separate, stacked = networks(ModelConfig(cell="lstm", hidden_size=16))
    stacked = StackedClassifier(separate, torch.device("cpu"), torch.float32)
    x = sequences(len(separate)).float()
    exact = stacked(x)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rounded = stacked(x)
        gradients = gradients_of_all(stacked, rounded.float().sum(dim=(1, 2)))
    assert 1e-5 < (rounded.float() - exact).abs().max() < 0.02
    assert gradients.dtype == torch.float32
    torch.testing.assert_close(gradients, gradients_of_all(stacked, exact.sum(dim=(1, 2))), rtol=0.1, atol=0.05)


def test_weights_stay_with_those_that_the_optimiser_changes_when_a_module_is_moved():
    _, stacked = networks(ModelConfig(cell="gru", hidden_size=4))
    moved = torch.nn.Sequential(stacked).to(torch.float16)
    stacked.flat.zero_()
    assert not any(weights.any() for weights in moved.parameters() if weights.requires_grad)
