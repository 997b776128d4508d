"""The long short-term memory with a forget gate."""

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from recurrent_cells.config.rules import TRUE_OR_FALSE, one_of
from recurrent_cells.models.cells import Cell, Option, Shapes, State, Steps, Weights, gate_shapes, linear


class LSTMSteps(Steps):
    """Gates i, f, g, o; h, c and tanh(c) are saved."""

    num_gates, num_saved = 4, 3
    sigmoids: ClassVar = [0, 1, 3]

    @staticmethod
    def forward(arrays: Any, planes: Any, before: Any, saved: Any) -> None:
        (i, f, g, o), (h, c, tanh_c) = planes, saved
        arrays.sigmoid(planes[:2])
        arrays.tanh(g, out=g)
        arrays.sigmoid(o)
        arrays.multiply(f, before[1], out=c)
        c += arrays.multiply(i, g, out=h)
        arrays.tanh(c, out=tanh_c)
        arrays.multiply(o, tanh_c, out=h)

    @staticmethod
    def backward(arrays: Any, planes: Any, before: Any, saved: Any, d_h: Any, d_c: Any) -> tuple[Any, Any]:
        (i, f, g, o), (_, _, tanh_c) = planes, saved
        through_h = d_h * o * (1 - tanh_c * tanh_c)
        d_c = through_h if d_c is None else d_c + through_h
        d_before = d_c * f
        d_i = d_c * g * i * (1 - i)
        f[...] = d_c * before[1] * f * (1 - f)
        g[...] = d_c * i * (1 - g * g)
        o[...] = d_h * tanh_c * o * (1 - o)
        i[...] = d_i
        return None, d_before


VARIANTS = (
    *("standard", "no_input_gate", "no_forget_gate", "no_output_gate", "no_input_activation", "no_output_activation"),
    *("coupled_gates", "full_gate_recurrence"),
)


class LSTM(Cell):
    """i, f, o = sigmoid(W x + b + U h + c), g = tanh(…); c' = f c + i g, h' = o tanh(c').

    W (4 H, F) and U (4 H, H) hold the gates in the order i, f, g, o; 4 H (F + H + 2) parameters.

    Each `variant` changes one thing: a gate is 1 and has no weights (no_*_gate), g or tanh(c') is without its tanh
    (no_*_activation), f = 1 - i (coupled_gates), or the sigmoid gates also take in R (i, f, o) of the step before, with
    R (3 H, 3 H) (full_gate_recurrence). `peepholes` add p c to i and f and p c' to o, p being a vector of each gate.
    Greff et al. call the LSTM with peepholes vanilla: their nine are that, seven variants with peepholes, and no
    peepholes, which is the standard here. R and p start as `model.init=torch` draws them, R orthogonal otherwise.
    """

    name, label, color = "lstm", "LSTM", "#0072B2"
    source = (
        "Hochreiter and Schmidhuber 1997, Long short-term memory; Gers et al. 2000, Learning to forget; "
        "Greff et al. 2015, LSTM: a search space odyssey"
    )
    options: ClassVar = {
        "variant": Option("standard", "what is left out of the LSTM, or put into it", one_of(*VARIANTS)),
        "peepholes": Option(False, "whether gates see the cell state", TRUE_OR_FALSE),
    }
    routes: ClassVar[tuple[str, ...]] = ("torch", "numpy", "triton")
    recurrent = ("weight_hh", "weight_gh", "weight_ci", "weight_cf", "weight_co")
    by_hand = LSTMSteps

    def __init__(self, settings: Mapping[str, Any] | None = None) -> None:
        super().__init__(settings)
        self.variant, self.peepholes = self.settings["variant"], self.settings["peepholes"]
        lacking = {"no_input_gate": "i", "no_forget_gate": "f", "coupled_gates": "f", "no_output_gate": "o"}
        self.gates = [gate for gate in "ifgo" if gate != lacking.get(self.variant)]
        if self.variant != "standard" or self.peepholes:
            self.routes = ()  # type: ignore[misc] # the fast routes have the standard step

    def shapes(self, input_size: int, hidden_size: int) -> Shapes:
        shapes = gate_shapes(len(self.gates), input_size, hidden_size)
        if self.variant == "full_gate_recurrence":
            shapes["weight_gh"] = (3 * hidden_size, 3 * hidden_size)
        if self.peepholes:
            shapes |= {f"weight_c{gate}": (hidden_size,) for gate in self.gates if gate != "g"}
        return shapes

    def zero_state(self, inputs: Tensor, hidden_size: int) -> State:
        zeros = inputs.new_zeros(*inputs.shape[:-1], hidden_size)
        if self.variant == "full_gate_recurrence":
            return zeros, zeros, inputs.new_zeros(*inputs.shape[:-1], 3 * hidden_size)
        return zeros, zeros

    def step(self, inputs: Tensor, state: State, weights: Weights) -> State:
        h, c, *gates_before = state
        planes = (inputs + linear(h, weights["weight_hh"], weights["bias_hh"])).chunk(len(self.gates), dim=-1)
        planes_of = dict(zip(self.gates, planes, strict=True))
        for before in gates_before:
            recurrent = torch.matmul(before, weights["weight_gh"].mT).chunk(3, dim=-1)
            planes_of |= {gate: planes_of[gate] + it for gate, it in zip("ifo", recurrent, strict=True)}

        def opening(gate: str, c: Tensor) -> Tensor:
            if gate not in planes_of:
                return c.new_ones(())
            plane = planes_of[gate]
            if self.peepholes:
                plane = plane + weights[f"weight_c{gate}"].unsqueeze(-2) * c
            return plane.sigmoid()

        i = opening("i", c)
        f = 1.0 - i if self.variant == "coupled_gates" else opening("f", c)
        g = planes_of["g"] if self.variant == "no_input_activation" else planes_of["g"].tanh()
        c = f * c + i * g
        o = opening("o", c)
        h = o * (c if self.variant == "no_output_activation" else c.tanh())
        return h, c, *(torch.cat([i, f, o], dim=-1) for _ in gates_before)

    def initialize(self, weights: Weights, init: str, forget_bias: float | None) -> None:
        """As every cell; then the forget gate's bias, in sum, is `forget_bias`, or 1 where Keras sets it."""
        gates = weights.get("weight_gh")
        super().initialize({name: it for name, it in weights.items() if it is not gates}, init, forget_bias)
        if gates is not None and init != "torch":
            nn.init.orthogonal_(gates)
        if "f" not in self.gates or (forget_bias is None and init == "torch"):
            return
        hidden_size, place = weights["weight_hh"].shape[-1], self.gates.index("f")
        rows = slice(place * hidden_size, (place + 1) * hidden_size)
        with torch.no_grad():
            weights["bias_ih"][rows] = 1.0 if forget_bias is None else forget_bias
            weights["bias_hh"][rows] = 0.0
