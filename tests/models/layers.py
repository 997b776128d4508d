"""Layers to compare: those of torch.nn with the same weights, which route computed, and results with all gradients.

CELLS are those that torch.nn has; OF_CPU are all cells with each of the routes that compute them on a CPU.
"""

from types import ModuleType

import torch
from torch import Tensor, nn

from recurrent_cells import tables
from recurrent_cells.models.layers import ON_REQUEST, ROUTES, RecurrentLayers

TORCH = {"simple_rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}
CELLS = tuple(TORCH)
OF_CPU = [
    (name, route)
    for name in tables.CELLS.names
    for route in ("reference", *tables.CELLS[name].routes)
    if route not in ON_REQUEST
]


class Plain(nn.Module):
    """torch.nn's layers with the results of ours."""

    def __init__(self, layers: nn.RNNBase) -> None:
        super().__init__()
        self.layers = layers

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        outputs, states = self.layers(x)
        h = states[0] if isinstance(states, tuple) else states
        return outputs, list(h.unbind()[-2 if self.layers.bidirectional else -1 :])


def pair(cell: str, dtype=torch.float32, kernel="auto", sizes=(5, 7), **settings) -> tuple[RecurrentLayers, Plain]:
    """Ours and torch.nn's with equal weights."""
    torch.manual_seed(0)
    ours = RecurrentLayers(cell, *sizes, kernel=kernel, **settings).to(dtype)
    plain = TORCH[cell](*sizes, batch_first=True, **settings).to(dtype)
    plain.load_state_dict(ours.state_dict())
    return ours, Plain(plain)


def results(layers: nn.Module, x: Tensor, *lengths: Tensor) -> list[Tensor]:
    """Outputs, last states and every gradient, dropout drawn from one seed."""
    x = x.clone().requires_grad_()
    torch.manual_seed(1)
    outputs, last = layers(x, *lengths)
    (outputs.pow(2).sum() + sum(state.sin().sum() for state in last)).backward()
    parameters = [parameter.grad for parameter in layers.parameters() if parameter.requires_grad]
    return [outputs.detach(), *(state.detach() for state in last), x.grad, *parameters]


def taken(monkeypatch) -> list[ModuleType]:
    """The routes that computed, from now on, a layer or a stack of layers."""
    routes: list[ModuleType] = []
    for route in {route for of_kernel in ROUTES.values() for route in of_kernel}:
        for name in {"layer", "stack"} & vars(route).keys():
            original = getattr(route, name)

            def counted(*args, _route=route, _original=original, **kwargs):
                routes.append(_route)
                return _original(*args, **kwargs)

            monkeypatch.setattr(route, name, counted)
    return routes
