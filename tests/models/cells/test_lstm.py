"""The LSTM and its variants against the equations of Greff et al., gate by gate."""

from itertools import product

import pytest
import torch

from recurrent_cells.config.schema import Config, ModelConfig
from recurrent_cells.errors import UserError
from recurrent_cells.models.cells.lstm import VARIANTS
from recurrent_cells.models.classifier import build_classifier
from recurrent_cells.models.layers import RecurrentLayers
from recurrent_cells.models.stacked import StackedClassifier
from recurrent_cells.trial.fingerprint import fingerprint
from tests.models.cells.loops import drawn, logistic, sequences
from tests.models.test_stacked import gradients_of_all

F, H = 3, 5
EACH = pytest.mark.parametrize(("variant", "peepholes"), list(product(VARIANTS, (False, True))))
LACKING = {"no_input_gate": "i", "no_forget_gate": "f", "coupled_gates": "f", "no_output_gate": "o"}


@EACH
def test_outputs_are_those_of_the_paper_s_equations(variant, peepholes):
    layers, x = drawn("lstm", F, H, variant=variant, peepholes=peepholes), sequences(F)
    gates = [gate for gate in "ifgo" if gate != LACKING.get(variant)]
    w, u = (dict(zip(gates, it.split(H), strict=True)) for it in (layers.weight_ih_l0, layers.weight_hh_l0))
    b = dict(zip(gates, (layers.bias_ih_l0 + layers.bias_hh_l0).split(H), strict=True))
    zeros, ones = torch.zeros(H, dtype=x.dtype), torch.ones(H, dtype=x.dtype)
    outputs, _ = layers(x)
    for sequence, found in zip(x, outputs, strict=True):
        y = c = i = f = o = zeros
        for step, output in zip(sequence, found, strict=True):
            a = {gate: w[gate] @ step + u[gate] @ y + b[gate] for gate in gates}
            if variant == "full_gate_recurrence":
                for gate, recurrent in zip("ifo", layers.weight_gh_l0.split(H), strict=True):
                    of_i, of_f, of_o = recurrent.split(H, dim=1)
                    a[gate] = a[gate] + of_i @ i + of_f @ f + of_o @ o
            if peepholes and "i" in gates:
                a["i"] = a["i"] + layers.weight_ci_l0 * c
            if peepholes and "f" in gates:
                a["f"] = a["f"] + layers.weight_cf_l0 * c
            i = logistic(a["i"]) if "i" in gates else ones
            f = logistic(a["f"]) if "f" in gates else (1 - i if variant == "coupled_gates" else ones)
            c = f * c + i * (a["g"] if variant == "no_input_activation" else torch.tanh(a["g"]))
            if peepholes and "o" in gates:
                a["o"] = a["o"] + layers.weight_co_l0 * c
            o = logistic(a["o"]) if "o" in gates else ones
            y = o * (c if variant == "no_output_activation" else torch.tanh(c))
            torch.testing.assert_close(output, y, rtol=1e-11, atol=1e-12)


@EACH
def test_parameters_are_those_of_the_gates_that_there_are(variant, peepholes):
    gates = 3 if variant in LACKING else 4
    expected = gates * H * (F + H + 2)
    expected += 9 * H * H if variant == "full_gate_recurrence" else 0
    expected += (gates - 1) * H if peepholes else 0
    layers = RecurrentLayers("lstm", F, H, options={"variant": variant, "peepholes": peepholes})
    assert sum(it.numel() for it in layers.parameters()) == expected


@EACH
def test_networks_at_once_are_each_of_them_alone(variant, peepholes):
    options = {"variant": variant, "peepholes": peepholes}
    model = ModelConfig(cell="lstm", hidden_size=4, num_layers=2, bidirectional=True, options=options)
    separate = [build_classifier(model, F, 3, seed).double() for seed in range(3)]
    stacked = StackedClassifier(separate, torch.device("cpu"), torch.float64)
    x = torch.stack([sequences(F)] * 3)
    gradients = gradients_of_all(stacked, stacked(x).sin().flatten(1).sum(dim=1))
    for place, network in enumerate(separate):
        torch.testing.assert_close(stacked(x)[place], network(x[place]), rtol=1e-11, atol=1e-11)
        found = torch.autograd.grad(network(x[place]).sin().sum(), list(network.parameters()))
        torch.testing.assert_close(gradients[place], torch.cat([it.flatten() for it in found]), rtol=1e-10, atol=1e-11)


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_forget_bias_is_that_of_the_forget_gate_where_there_is_one(variant):
    layers = RecurrentLayers("lstm", F, H, options={"variant": variant})
    layers.initialize("keras", 2.5)
    expected = [2.5 if gate == "f" else 0.0 for gate in "ifgo" if gate != LACKING.get(variant)]
    assert layers.bias_ih_l0.view(-1, H).tolist() == [[bias] * H for bias in expected]
    assert not layers.bias_hh_l0.any()


def test_weights_from_gates_to_gates_start_orthogonal():
    layers = RecurrentLayers("lstm", F, H, options={"variant": "full_gate_recurrence"})
    layers.initialize("keras", None)
    weight = layers.weight_gh_l0.detach()
    torch.testing.assert_close(weight.T @ weight, torch.eye(3 * H), atol=1e-5, rtol=0)


@pytest.mark.parametrize("kernel", ["torch", "numpy", "triton"])
def test_the_routes_of_the_standard_refuse_a_variant(kernel):
    with pytest.raises(UserError, match=rf"model\.kernel={kernel}: allowed for the cell lstm is auto, reference$"):
        RecurrentLayers("lstm", F, H, kernel=kernel, options={"peepholes": True})
    RecurrentLayers("lstm", F, H, kernel=kernel, options={"peepholes": False, "variant": "standard"})


def test_the_standard_is_the_lstm_without_settings_to_the_bit():
    def made(**options):
        torch.manual_seed(0)
        return RecurrentLayers("lstm", F, H, options=options)

    x = sequences(F).float()
    assert torch.equal(made()(x)[0], made(variant="standard", peepholes=False)(x)[0])


def test_a_variant_counts_in_the_fingerprint_and_the_standard_does_not():
    def of(**options):
        return fingerprint(Config(model=ModelConfig(cell="lstm", options=options)), "")

    assert of() == of(variant="standard", peepholes=False)
    found = {of(variant=variant, peepholes=peepholes) for variant, peepholes in product(VARIANTS, (False, True))}
    assert len(found) == 2 * len(VARIANTS)
