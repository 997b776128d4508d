"""What every cell gives, one file each; layers own time, depth, direction, lengths and the number of networks.

Shapes: B sequences, F input features, H hidden units; in front of (…, B, F) and of weights there may be a dimension K
of networks.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from recurrent_cells.config.rules import Rule
from recurrent_cells.tables import CELLS

Weights = Mapping[str, Tensor]
State = tuple[Tensor, ...]
Shapes = dict[str, tuple[int, ...]]


class Steps:
    """A cell's step and its gradient written by hand, on arrays of NumPy or torch, for the routes that take them.

    A step has A + G planes (…, B, H). The last G are the gates' inputs; where the recurrent product of the last A gates
    stands apart from these, it comes first. `forward` makes activations of planes, `backward` gradients of these.
    `saved` of a step are the num_saved arrays (…, B, H) else kept, first h. `sigmoids` are the gates with a sigmoid.
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


@dataclass(frozen=True)
class Option:
    """A setting of one cell alone, `model.options.NAME`: its default, its meaning and what it may be."""

    default: Any
    meaning: str
    rule: Rule


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
    # The parameters that lead from state to state: optimizer.recurrent_lr_factor is of these.
    recurrent: ClassVar[tuple[str, ...]] = ("weight_hh",)
    # Faster ways than the reference, as in model.kernel, in the order of preference.
    routes: ClassVar[tuple[str, ...]] = ()
    by_hand: ClassVar[type[Steps]]

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


def gate_shapes(num_gates: int, input_size: int, hidden_size: int) -> Shapes:
    """The parameters of a cell with gates W x + b + U h + c: (G·H, F), (G·H, H) and two biases (G·H,)."""
    rows = num_gates * hidden_size
    return {"weight_ih": (rows, input_size), "weight_hh": (rows, hidden_size), "bias_ih": (rows,), "bias_hh": (rows,)}


def linear(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """(…, B, in) → (…, B, out) with weights (…, out, in) and biases (…, out)."""
    return torch.matmul(x, weight.mT) + bias.unsqueeze(-2)
