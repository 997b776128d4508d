"""What every cell gives, one file each; layers own time, depth, direction, lengths and the number of networks.

Shapes: B sequences, F input features, H hidden units; in front of (…, B, F) and of weights there may be a dimension K
of networks.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import threshold

from recurrent_cells.config.options import Option
from recurrent_cells.config.rules import at_least
from recurrent_cells.errors import UserError
from recurrent_cells.models.whole_steps import WholeSteps
from recurrent_cells.tables import CELLS

Weights = Mapping[str, Tensor]
State = tuple[Tensor, ...]
Shapes = dict[str, tuple[int, ...]]


class Steps:
    """A cell's step and its gradient written by hand, on arrays of NumPy or torch, for the routes that take them.

    A step works on A + G planes (…, B, H), A being `num_apart` and G `num_gates`: first the recurrent products of the
    last A gates, where a cell needs these by themselves (the GRU's n), then the inputs of all gates. `forward` turns
    planes into activations, `backward` these into gradients. `saved` are the num_saved arrays (…, B, H) that a step
    keeps besides, h first. `sigmoids` are the gates with a sigmoid.
    `arrays` has multiply, subtract and tanh with `out=`, sigmoid in place, and the number `one`.
    """

    num_gates: ClassVar[int]
    num_apart = 0
    num_saved = 1
    sigmoids: ClassVar[list[int]] = []

    @staticmethod
    def forward(arrays: Any, planes: Any, before: Any, saved: Any) -> None:
        """Write `saved`; `before` is that of the step before."""
        raise NotImplementedError

    @staticmethod
    def slopes(arrays: Any, planes: Any, saved: Any) -> None:
        """Before the first of `backward`: what can be done with all steps (…, T, B, H) at once."""

    @staticmethod
    def backward(arrays: Any, planes: Any, before: Any, saved: Any, d_h: Any, d_c: Any) -> tuple[Any, Any]:
        """The gradients of the earlier h and c other than through the products; None is zero."""
        raise NotImplementedError


HEADS = Option(4, "parts of the hidden units, each with a memory of its own", at_least(1))


class Cell:
    """One step of a recurrence.

    A cell has a `name` (that of its file), the `label` and `color` of its curves, its `source`, the shapes of its
    parameters, and `step`. The rest has defaults.

    Args:
        settings: values of its `options`; what is not given has the default.
    """

    table = CELLS
    name: ClassVar[str]
    label: ClassVar[str]
    color: ClassVar[str]
    source: ClassVar[str]
    options: ClassVar[Mapping[str, Option]] = {}
    num_states = 1
    # How the names of the parameters begin that lead from state to state: optimizer.recurrent_lr_factor is of these.
    recurrent: ClassVar[tuple[str, ...]] = ("weight_hh",)
    # Faster ways than the reference, as in model.kernel, in the order of preference.
    routes: ClassVar[tuple[str, ...]] = ()
    by_hand: ClassVar[type[Steps]]
    whole_steps: ClassVar[type[WholeSteps]]

    def __init_subclass__(cls) -> None:
        # A fast route computes one class's step: a subclass with another step must not inherit the route.
        if "routes" not in vars(cls):
            cls.routes = ()

    def __init__(self, settings: Mapping[str, Any] | None = None) -> None:
        self.settings = {name: option.default for name, option in self.options.items()} | dict(settings or {})

    def shapes(self, input_size: int, hidden_size: int) -> Shapes:
        """The parameters of a layer in one direction by name, in the order in which they are drawn."""
        raise NotImplementedError

    def inputs(self, x: Tensor, weights: Weights) -> Tensor:
        """What all steps of the input (…, T, B, F) give to the gates, (…, T, B, G·H)."""
        return linear(x.flatten(-3, -2), weights["weight_ih"], weights["bias_ih"]).unflatten(-2, x.shape[-3:-1])

    def step(self, inputs: Tensor, state: State, weights: Weights) -> State:
        """The state after a step, whose first tensor (…, B, H) is the output, from its `inputs` (…, B, G·H)."""
        raise NotImplementedError

    def zero_state(self, inputs: Tensor, hidden_size: int) -> State:
        """The state before the first step, given `inputs` (…, B, G·H)."""
        zeros = inputs.new_zeros(*inputs.shape[:-1], hidden_size)
        return (zeros,) * self.num_states

    def initialize(self, weights: Weights, init: str, forget_bias: float | None) -> None:
        """Change the weights of one network, drawn uniformly within ±1/sqrt(H), as `model.init` says."""
        if init == "torch":
            return
        for name, weight in weights.items():
            if name.startswith("bias"):
                nn.init.zeros_(weight)
            elif weight.dim() > 1:  # Keras draws one kernel for all gates, as these rows are
                draw = nn.init.orthogonal_ if name.startswith("weight_hh") else nn.init.xavier_uniform_
                draw(weight)


class LinearCell(Cell):
    """A cell whose recurrence is linear in its state: s' = a s + b, with a and b of the inputs alone.

    A cell gives `coefficients` and, where the outputs are not the states, `outputs`; both act on N rows at once, be
    they of a step (N = B) or of all (N = T·B). `step` follows from these, and so does the scan of model.kernel=scan,
    unless a class has a step of its own.
    """

    # Whether coefficients and states are complex numbers, each two in a row: its real and its imaginary part. Written
    # in real arithmetic a step can be exported.
    is_complex: ClassVar = False

    def __init_subclass__(cls) -> None:
        if "routes" not in vars(cls) and cls.step is LinearCell.step:
            cls.routes = ("scan",)
        super().__init_subclass__()

    def state_size(self, hidden_size: int) -> int:
        """S, the numbers of a state, of complex ones twice as many."""
        return hidden_size

    def coefficients(self, inputs: Tensor, weights: Weights) -> tuple[Tensor, Tensor]:
        """a (…, N, S), or (…, 1, S) where all rows have the same, and b (…, N, S) from `inputs` (…, N, G·H)."""
        raise NotImplementedError

    def outputs(self, states: Tensor, inputs: Tensor, weights: Weights) -> Tensor:
        """(…, N, H) from the states (…, N, S) and `inputs` (…, N, G·H) of the same steps."""
        return states

    def step(self, inputs: Tensor, state: State, weights: Weights) -> State:
        """The output and the state after a step, which are one where the outputs are the states."""
        a, b = self.coefficients(inputs, weights)
        states = (complex_product(a, state[-1]) if self.is_complex else a * state[-1]) + b
        outputs = self.outputs(states, inputs, weights)
        return (states,) if self.outputs_are_states else (outputs, states)

    def zero_state(self, inputs: Tensor, hidden_size: int) -> State:
        output = inputs.new_zeros(*inputs.shape[:-1], hidden_size)
        if self.outputs_are_states:
            return (output,)
        return output, inputs.new_zeros(*inputs.shape[:-1], self.state_size(hidden_size))

    @property
    def outputs_are_states(self) -> bool:
        """Whether the class keeps `outputs` as they are here."""
        return type(self).outputs is LinearCell.outputs


def gate_shapes(num_gates: int, input_size: int, hidden_size: int) -> Shapes:
    """The parameters of a cell with gates W x + b + U h + c: (G·H, F), (G·H, H) and two biases (G·H,)."""
    rows = num_gates * hidden_size
    return {"weight_ih": (rows, input_size), "weight_hh": (rows, hidden_size), "bias_ih": (rows,), "bias_hh": (rows,)}


def units_of_head(heads: int, hidden_size: int) -> int:
    """The hidden units of each head; raises UserError if heads have not equally many."""
    if hidden_size % heads:
        raise UserError(f"model.options.heads={heads}: allowed are divisors of model.hidden_size={hidden_size}")
    return hidden_size // heads


def linear(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """(…, B, in) → (…, B, out) with weights (…, out, in) and biases (…, out)."""
    # not `mT`: exporting, torch 2.11 takes that for one more input
    return torch.matmul(x, weight.transpose(-2, -1)) + bias.unsqueeze(-2)


def complex_product(a: Tensor, b: Tensor) -> Tensor:
    """Of complex numbers (…, 2 N), each two in a row: the real and the imaginary part."""
    (real_a, imaginary_a), (real_b, imaginary_b) = ((it[..., ::2], it[..., 1::2]) for it in (a, b))
    return in_turn(real_a * real_b - imaginary_a * imaginary_b, real_a * imaginary_b + imaginary_a * real_b)


def in_turn(real: Tensor, imaginary: Tensor) -> Tensor:
    """Complex numbers (…, 2 N), each two in a row, from their parts (…, N)."""
    return torch.stack((real, imaginary), dim=-1).flatten(-2)


def half_linear(v: Tensor) -> Tensor:
    """v + ½ for v ≥ 0, else sigmoid(v): continuous, above 0, with slope 1 at 0.

    Written without torch.where, which takes 20 times as long on a CPU.
    """
    positive = threshold(v, -torch.finfo(v.dtype).tiny, 0.0)
    return positive + (v - positive).sigmoid()
