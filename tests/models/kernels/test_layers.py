"""The fast layers give what torch.nn's give, to rounding, forward and backward."""

import warnings

import numpy as np
import pytest
import torch
from torch import nn

from recurrent_cells.config.schema import ModelConfig
from recurrent_cells.models.classifier import build_classifier
from recurrent_cells.models.kernels import layers
from recurrent_cells.models.kernels.layers import FastGRU, FastRNN

PAIRS = [(FastRNN, nn.RNN), (FastGRU, nn.GRU)]


@pytest.fixture
def passes(monkeypatch):
    """How often the fast way was taken."""
    count = []
    original = layers._layers
    monkeypatch.setattr(layers, "_layers", lambda *arguments: count.append(1) or original(*arguments))
    return count


def pair(fast, plain, dtype=torch.float32, **settings):
    """The two with equal weights."""
    torch.manual_seed(0)
    modules = fast(5, 7, batch_first=True, **settings).to(dtype), plain(5, 7, batch_first=True, **settings).to(dtype)
    modules[1].load_state_dict(modules[0].state_dict())
    return modules


def results(module, x):
    """Outputs, last states and every gradient, dropout drawn from one seed."""
    x = x.clone().requires_grad_()
    torch.manual_seed(1)
    outputs, last = module(x)
    (outputs.pow(2).sum() + last.sin().sum()).backward()
    return [outputs, last, x.grad, *(parameter.grad for parameter in module.parameters())]


@pytest.mark.parametrize(("fast", "plain"), PAIRS)
@pytest.mark.parametrize("num_layers", [1, 3])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("dropout", [0.0, 0.4])
@pytest.mark.parametrize(("dtype", "rtol"), [(torch.float32, 1e-5), (torch.float64, 1e-13)])
def test_outputs_and_gradients(passes, fast, plain, num_layers, bidirectional, dropout, dtype, rtol):
    settings = {"num_layers": num_layers, "bidirectional": bidirectional}
    if num_layers > 1:
        settings["dropout"] = dropout
    one, other = pair(fast, plain, dtype, **settings)
    x = torch.randn(4, 9, 5, dtype=dtype)
    for ours, theirs in zip(results(one, x), results(other, x), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=rtol, atol=rtol * max(1.0, theirs.abs().max().item()))
    assert passes == [1]


@pytest.mark.parametrize(("fast", "plain"), PAIRS)
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize(
    "read",
    [lambda outputs, last: outputs, lambda outputs, last: outputs.mean(dim=1), lambda outputs, last: last[-1]],
    ids=["outputs", "their mean", "last state"],
)
def test_gradients_where_only_some_results_are_read(fast, plain, bidirectional, read):
    found = []
    for module in pair(fast, plain, torch.float64, num_layers=2, bidirectional=bidirectional):
        x = torch.linspace(-1, 1, 4 * 9 * 5, dtype=torch.float64).view(4, 9, 5).requires_grad_()
        read(*module(x)).sin().sum().backward()
        found.append([x.grad, *(parameter.grad for parameter in module.parameters())])
    torch.testing.assert_close(*found, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("fast", "plain"), PAIRS)
def test_long_sequences_of_a_real_size(fast, plain):
    torch.manual_seed(0)
    one, other = fast(28, 128, batch_first=True), plain(28, 128, batch_first=True)
    other.load_state_dict(one.state_dict())
    x = torch.randn(64, 28, 28)
    for ours, theirs in zip(results(one, x), results(other, x), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=2e-6 * theirs.abs().max().item())


@pytest.mark.parametrize(("fast", "plain"), PAIRS)
def test_what_they_cannot_do_is_left_to_torch(passes, fast, plain):
    one, other = pair(fast, plain)
    x = torch.randn(4, 9, 5)
    packed = nn.utils.rnn.pack_padded_sequence(x, [9, 7, 7, 2], batch_first=True)
    torch.testing.assert_close(one(packed)[0].data, other(packed)[0].data)
    state = torch.randn(1, 4, 7)
    torch.testing.assert_close(one(x, state)[0], other(x, state)[0])
    torch.testing.assert_close(one(x[0])[0], other(x[0])[0])
    torch.testing.assert_close(one(x[:, :1])[0], other(x[:, :1])[0])
    with torch.autocast("cpu", torch.bfloat16):
        one(x)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's own, of its own layers too
        torch.export.export(one, (x,))
    assert passes == []
    no_bias = fast(5, 7, batch_first=True, bias=False)
    no_bias(x)
    assert passes == []


def test_weights_changed_between_forward_and_backward_are_noticed():
    layer = FastGRU(5, 7, batch_first=True)
    outputs, _ = layer(torch.randn(4, 9, 5))
    with torch.no_grad():
        layer.weight_hh_l0 += 1
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        outputs.sum().backward()


def test_going_backward_twice_is_refused():
    loss = FastGRU(5, 7, batch_first=True)(torch.randn(4, 9, 5))[0].sum()
    loss.backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="cannot go backward twice"):
        loss.backward()


def test_a_weight_that_is_not_trained_gets_no_gradient():
    layer = FastGRU(5, 7, batch_first=True)
    layer.bias_hh_l0.requires_grad_(False)
    layer(torch.randn(4, 9, 5))[0].sum().backward()
    assert layer.bias_hh_l0.grad is None
    assert layer.bias_ih_l0.grad is not None


@pytest.mark.parametrize("fast", [FastRNN, FastGRU])
def test_values_that_are_not_finite_pass_through_without_a_warning(fast):
    x = torch.randn(4, 9, 5)
    x[0, 3] = float("inf")
    x[1, 3] = float("nan")
    outputs, _ = fast(5, 7, batch_first=True)(x)
    outputs.sum().backward()
    assert outputs[1].isnan().any()
    assert outputs[2].isfinite().all()


def test_the_kernel_is_chosen_by_config():
    def layer(**settings):
        return type(build_classifier(ModelConfig(**settings), 5, 3, seed=0).recurrent)

    assert layer(cell="gru") is FastGRU
    assert layer(cell="simple_rnn") is FastRNN
    assert layer(cell="lstm") is nn.LSTM
    assert layer(cell="gru", kernel="torch") is nn.GRU


def test_inputs_are_left_as_they_are():
    x = torch.randn(4, 9, 5)
    before = x.clone()
    layer = FastGRU(5, 7, num_layers=2, batch_first=True)
    weights = {name: value.clone() for name, value in layer.state_dict().items()}
    gradient = torch.ones(4, 9, 7)
    layer(x)[0].backward(gradient)
    assert np.array_equal(x, before)
    assert (gradient == 1).all()
    assert all((layer.state_dict()[name] == value).all() for name, value in weights.items())
