"""The types in which each cell computes under each precision, and how far from float64 that is."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from itertools import product
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from benchmarks.contenders.bare import Model
from benchmarks.gpu_check.check import Check, Point
from benchmarks.packs.programs import Shape, build_program, config_of
from benchmarks.precision import autocast
from recurrent_cells.data.splits import load_splits
from recurrent_cells.models.classifier import build_classifier
from recurrent_cells.models.layers import RecurrentLayers

TITLE, SECONDS, SHARE = "Types of products, and distance from float64", 10, 40
PRODUCTS = ("mm", "bmm", "addmm", "baddbmm", "rnn", "lstm", "gru")
HIDDEN, BATCH, SCALE = 50, 64, 1024.0


def points(check: Check) -> Iterator[Point]:
    for precision, cell in product(check.sizes.precisions, check.sizes.cells):
        yield Point(f"{cell}, {precision}, alone", partial(of_ours, Shape(cell, HIDDEN, precision), 1))
        for route in check.routes:
            shape = Shape(cell, HIDDEN, precision, route)
            yield Point(f"{cell}, {precision}, packed, {route}", partial(of_ours, shape, 2))
        yield Point(f"{cell}, {precision}, torch.nn", partial(of_torch, cell, precision, check.kind))


class Watch(TorchDispatchMode):
    """Notes the states that recurrent layers give, and the types of what goes into their products on the way.

    Args:
        layers: whose last states (…, B, H) are kept.
    """

    def __init__(self, layers: nn.Module) -> None:
        super().__init__()
        self.products: dict[str, set[str]] = defaultdict(set)
        self.states = torch.empty(0)
        self._inside = False
        layers.register_forward_pre_hook(self._enter)
        layers.register_forward_hook(self._leave)

    def _enter(self, *_: Any) -> None:
        self._inside = True

    def _leave(self, module: nn.Module, given: Any, answer: tuple[Tensor, Any]) -> None:
        self._inside, self.states = False, answer[0][..., -1, :].detach()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = str(func.overloadpacket.__name__)
        if self._inside and any(word in name for word in PRODUCTS):
            of_floats = [it.dtype for it in args if isinstance(it, Tensor) and it.is_floating_point()]
            self.products[name] |= {str(dtype).removeprefix("torch.") for dtype in of_floats}
        return func(*args, **(kwargs or {}))


def of_ours(shape: Shape, count: int) -> dict[str, Any]:
    """The types in a program of `count` trials, and the distance of its first trial from the reference in float64."""
    program = build_program(shape, count)
    module, trained = program.networks.module, program.networks.trained
    x, y = _batch(shape)
    given, targets = (x.expand(count, *x.shape), y.expand(count, -1)) if count > 1 else (x, y)
    watch = Watch(_layers_in(module))
    gradients = _differentiate(module, trained, given.to(trained[0].device), targets, shape.precision, watch)
    states = watch.states
    if count > 1:
        states, gradients = states[0], [gradient[0] for gradient in gradients]
    reference = replace(config_of(shape, 0).model, kernel="reference")
    return _answer(watch, states, gradients, build_classifier(reference, x.shape[2], 10, 0).double(), x, y)


def of_torch(cell: str, precision: str, kind: str) -> dict[str, Any]:
    """The same of torch.nn's layers under autocast, as one writes it by hand."""
    shape = Shape(cell, HIDDEN, precision)
    torch.manual_seed(0)
    x, y = _batch(shape)
    model, exact = Model(shape.network, x.shape[2]), Model(shape.network, x.shape[2]).double()
    exact.load_state_dict(model.state_dict())
    model.to(kind)
    watch = Watch(model.layers)
    gradients = _differentiate(model, list(model.parameters()), x.to(kind), y, precision, watch)
    return _answer(watch, watch.states, gradients, exact, x, y)


def _layers_in(module: nn.Module) -> nn.Module:
    return next(it for it in module.modules() if isinstance(it, RecurrentLayers | nn.RNNBase))


def _batch(shape: Shape) -> tuple[Tensor, Tensor]:
    train = load_splits(config_of(shape, 0).data).train
    return train.sequences[:BATCH].float(), train.targets[:BATCH]


def _differentiate(
    module: nn.Module, trained: list[nn.Parameter], x: Tensor, targets: Tensor, precision: str, watch: Watch
) -> list[Tensor]:
    """The gradients of each network's mean loss, which is scaled as fp16 needs it."""
    with watch, autocast(precision, x.device.type):
        logits = module(x)
    targets = targets.to(x.device).flatten()
    loss = F.cross_entropy(logits.flatten(0, -2).double(), targets, reduction="sum") / x.shape[-3]
    return [gradient.double() / SCALE for gradient in torch.autograd.grad(loss * SCALE, trained)]


def _answer(
    watch: Watch, states: Tensor, gradients: list[Tensor], exact: nn.Module, x: Tensor, y: Tensor
) -> dict[str, Any]:
    of_exact = Watch(_layers_in(exact))
    trained = [parameter for parameter in exact.parameters() if parameter.requires_grad]
    wanted = _differentiate(exact, trained, x.double(), y, "32-true", of_exact)
    return {
        "products": {name: sorted(dtypes) for name, dtypes in watch.products.items()},
        "states": str(states.dtype).removeprefix("torch."),
        "error": _distance([states], [of_exact.states]),
        "gradient error": _distance(gradients, wanted),
    }


def _distance(found: list[Tensor], wanted: list[Tensor]) -> float:
    """‖found - wanted‖ / ‖wanted‖ of all tensors together."""
    one, other = (torch.cat([it.detach().double().cpu().flatten() for it in tensors]) for tensors in (found, wanted))
    return float((one - other).norm() / other.norm())


def report(found: Mapping[str, Any]) -> Iterator[str]:
    yield f"Recurrent layers in a forward pass, hidden {HIDDEN}; errors are ‖found - float64‖ / ‖float64‖ of the last"
    yield "states and of all gradients: about 1e-7 in float32, 3e-4 in TF32 and float16, 3e-3 in bfloat16."
    yield from ["", "| layers | products in | states in | error | of gradients |", "|---|---|---|---|---|"]
    for name, result in found.items():
        kinds = sorted({dtype for dtypes in result["products"].values() for dtype in dtypes}) or ["not by torch"]
        errors = f"{result['error']:.1e} | {result['gradient error']:.1e}"
        yield f"| {name} | {', '.join(kinds)} | {result['states']} | {errors} |"
    yield ""
