"""Recurrent layers of any cell, over time, depth and directions, of one network or of K."""

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import product
from types import ModuleType
from typing import Any, Self, cast

import torch
from torch import Tensor, nn

from recurrent_cells.errors import UserError
from recurrent_cells.lengths import last_valid, without_padding
from recurrent_cells.models.cells import Weights
from recurrent_cells.models.precision import leaves_autocast
from recurrent_cells.models.routes import (
    convolution,
    delta_rule,
    linear,
    numpy_loop,
    reference,
    scan,
    selective,
    torch_fused,
    torch_loop,
    torch_nn,
    triton,
    whole_steps,
)
from recurrent_cells.tables import CELLS

ROUTES: dict[str, tuple[ModuleType, ...]] = {
    "reference": (reference,),
    "numpy": (numpy_loop,),
    "torch": (torch_nn, torch_fused, torch_loop),
    "triton": (triton,),
    "scan": (linear,),
    "chunks": (delta_rule, convolution, selective),
    "steps": (whole_steps,),
}
# What computes layers only where model.kernel names it: not measured on a GPU yet.
ON_REQUEST = ("triton",)


class RecurrentLayers(nn.Module):
    """A stack of layers of one cell with the parameters of the cell, `NAME_l0`, `NAME_l0_reverse`, `NAME_l1`, …

    With `biases=1` the second bias of each gate stays zero and is not trained, as in Keras and TensorFlow
    (where a GRU then applies its reset gate before the recurrent product; here, as in cuDNN, after it).
    On a GPU they compute in the type of their weights, whatever autocast says: `models/precision.py` has the rule.

    Args:
        cell: a name of CELLS, with its own settings in `options`.
        dropout: probability between layers.
        kernel: the route to prefer, or `auto`; an input that it cannot compute takes the next best.

    Shapes:
        input (…, B, T, input_size) and lengths (…, B), at least 1 or None → outputs (…, B, T, D·hidden_size), zero in
        the padding, and the last states of the last layer (…, B, hidden_size) in each of D directions;
        parameters then lead with the same dimension K, if any.

    Raises:
        UserError: if the cell has no such route.
    """

    def __init__(
        self,
        cell: str,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        dropout: float = 0.0,
        bidirectional: bool = False,
        biases: int = 2,
        kernel: str = "auto",
        options: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.cell = CELLS[cell](options)
        self.hidden_size, self.num_layers = hidden_size, num_layers
        self.suffixes = ("", "_reverse") if bidirectional else ("",)
        self.dropout = nn.Dropout(dropout if num_layers > 1 else 0.0)
        allowed = ("auto", "reference", *self.cell.routes)
        if kernel not in allowed:
            raise UserError(f"model.kernel={kernel}: allowed for the cell {cell} is {', '.join(allowed)}")
        others = () if kernel == "reference" else (*self.cell.routes, "reference")
        self._kernels = [] if kernel == "auto" else [kernel]
        self._kernels += [name for name in others if name not in ON_REQUEST]
        for layer in range(num_layers):
            size = input_size if layer == 0 else len(self.suffixes) * hidden_size
            shapes = self.cell.shapes(size, hidden_size)
            self._names = list(shapes)
            for suffix, (name, shape) in product(self.suffixes, shapes.items()):
                self._draw(f"{name}_l{layer}{suffix}", shape, trained=biases == 2 or name != "bias_hh")

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, Sequence[Tensor]]:
        if lengths is None:
            return self._compute(x, None)
        outputs, _ = self._compute(without_padding(x, lengths), lengths)
        outputs = without_padding(outputs, lengths)
        forward, *backward = outputs.split(self.hidden_size, dim=-1)
        return outputs, [last_valid(forward, lengths), *(it[..., 0, :] for it in backward)]

    def _compute(self, x: Tensor, lengths: Tensor | None) -> tuple[Tensor, Sequence[Tensor]]:
        """All layers by the first route that fits; a last state counts only without lengths."""
        routes = [scan, *(route for kernel in self._kernels for route in ROUTES[kernel])]
        route = next(route for route in routes if route.fits(self, x, lengths))
        if route is not triton and leaves_autocast(x.device.type):
            with torch.autocast(x.device.type, enabled=False):
                return self._compute(x.to(next(self.parameters()).dtype), lengths)
        if route is torch_nn:
            return torch_nn.stack(self, x)
        x = x.transpose(-3, -2)
        # A backward direction of sequences with lengths is a forward one of the sequences turned round.
        turned = None if lengths is None else _mirrored_steps(lengths, x.shape[-3])
        for layer in range(self.num_layers):
            if layer > 0:
                x = self.dropout(x)
            outputs, last = [], []
            for suffix in self.suffixes:
                turn = turned if suffix else None
                of_steps, of_last = route.layer(
                    self.cell,
                    x if turn is None else _turn_round(x, turn),
                    self.weights(layer, suffix),
                    self.hidden_size,
                    reverse=suffix != "" and turn is None,
                )
                outputs.append(of_steps if turn is None else _turn_round(of_steps, turn))
                last.append(of_last)
            x = torch.cat(outputs, dim=-1) if len(outputs) > 1 else outputs[0]
        return x.transpose(-3, -2), last

    def weights(self, layer: int, suffix: str) -> Weights:
        """The parameters of a layer in one direction by the cell's names."""
        parameters = cast(dict[str, Tensor], self._parameters)
        return {name: parameters[f"{name}_l{layer}{suffix}"] for name in self._names}

    @property
    def recurrent(self) -> list[str]:
        """The names of the parameters that lead from state to state."""
        names = [name for name in self._names if name.startswith(self.cell.recurrent)]
        parts = product(range(self.num_layers), self.suffixes, names)
        return [f"{name}_l{layer}{suffix}" for layer, suffix, name in parts]

    def initialize(self, init: str, forget_bias: float | None) -> None:
        """Change the weights of one network, as drawn by torch, to those of `model.init`."""
        for layer, suffix in product(range(self.num_layers), self.suffixes):
            self.cell.initialize(self.weights(layer, suffix), init, forget_bias)

    def _draw(self, name: str, shape: tuple[int, ...], trained: bool) -> None:
        bound = 1.0 / math.sqrt(self.hidden_size)
        values = nn.init.uniform_(torch.empty(shape), -bound, bound)
        self.register_parameter(name, nn.Parameter(values if trained else torch.zeros(shape), requires_grad=trained))

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        super()._apply(fn, recurse)
        torch_nn.flatten(self)
        return self


def check_kernel(kernel: str, accelerator: str) -> None:
    """Raises UserError if what is to compute the layers in training needs what is not there."""
    if kernel != "triton" or triton.interprets():
        return
    if accelerator == "cpu":
        raise UserError("model.kernel=triton: needs a GPU; allowed on a CPU are auto, reference, torch, numpy")
    if lacking := triton.missing():
        raise UserError(f"model.kernel=triton: needs {lacking}; model.kernel=auto does without")


def _mirrored_steps(lengths: Tensor, count: int) -> Tensor:
    """The step (…, T, B) from which each is taken to turn a sequence round within its length."""
    steps = torch.arange(count, device=lengths.device).unsqueeze(-1)
    mirrored = lengths.unsqueeze(-2) - 1 - steps
    return torch.where(mirrored >= 0, mirrored, steps)


def _turn_round(x: Tensor, steps: Tensor) -> Tensor:
    """x (…, T, B, F) with each step taken from those of `_mirrored_steps`, (…, T, B)."""
    turned: Tensor = _TurnRound.apply(x, steps.unsqueeze(-1).expand(*steps.shape, x.shape[-1]))
    return turned


class _TurnRound(torch.autograd.Function):
    """A gather whose gradient is one too: a scatter, deterministic on a GPU, cannot be in a CUDA graph."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, index: Tensor) -> Tensor:
        ctx.save_for_backward(index)
        return x.gather(-3, index)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (index,) = ctx.saved_tensors
        return gradient.gather(-3, index), None
