"""The optimisers of torch for K trials at once, each with its own settings: vectors where torch has numbers."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from recurrent_cells.config.schema import OptimizerConfig

EPSILON = 1e-6  # as in torch.nn.utils.clip_grad_norm_
State = Mapping[str, Tensor]


class PackOptimizer:
    """Updates the weights of K trials, the rows of `flat` (K, P), in place.

    Args:
        configs: of one `name`; all else may differ.
        states: by torch's names (`exp_avg`, …) what each optimiser remembers of each weight (P,); empty at the start.
    """

    def __init__(self, configs: Sequence[OptimizerConfig], flat: Tensor, states: Sequence[State]) -> None:
        self._configs = configs
        self._flat = flat
        names, self._update = OPTIMIZERS[configs[0].name]
        self.memory = {
            name: torch.stack([state.get(name, torch.zeros_like(flat[0])).to(flat) for state in states])
            for name in names
        }
        self._decays = any(config.weight_decay > 0 for config in configs)
        self._clips = any(config.clip_norm is not None for config in configs)
        self._settings = {
            name: self._column([getattr(config, name) for config in configs])
            for name in ("weight_decay", "momentum", "beta1", "beta2", "alpha", "eps")
        }
        limits = [float("inf") if config.clip_norm is None else config.clip_norm for config in configs]
        self._limits = self._column(limits)

    def rates(self, start: int, stop: int, learning_rate: Callable[[int, int], float]) -> Tensor:
        """What changes from step to step, (S, 3, K, 1): learning rates and the two bias corrections of Adam.

        Args:
            learning_rate: of a trial, by its place in the pack, and a step.
        """
        rows = []
        for step in range(start, stop):
            counts = [(config.beta1 ** (step + 1), config.beta2 ** (step + 1)) for config in self._configs]
            rates = [learning_rate(place, step) for place in range(len(self._configs))]
            rows.append([rates, [1 - first for first, _ in counts], [1 - second for _, second in counts]])
        return torch.tensor(rows, dtype=torch.float64).to(self._flat).unsqueeze(-1)

    def step(self, gradients: Tensor, rates: Tensor) -> Tensor | None:
        """One update of all trials from gradients (K, P); their norms (K,) before clipping, if any is clipped."""
        norms = None
        if self._clips:
            norms = torch.linalg.vector_norm(gradients, dim=1)
            gradients = gradients * (self._limits / (norms.unsqueeze(1) + EPSILON)).clamp(max=1.0)
        if self._decays:
            gradients = gradients + self._settings["weight_decay"] * self._flat
        self._flat.sub_(self._update(gradients, rates, self.memory, self._settings))
        return norms

    def states(self) -> list[dict[str, Tensor]]:
        """What each optimiser remembers, by torch's names, on the CPU."""
        memory = {name: values.cpu() for name, values in self.memory.items()}
        return [{name: values[place] for name, values in memory.items()} for place in range(len(self._configs))]

    def _column(self, values: Sequence[float]) -> Tensor:
        return torch.tensor(values, dtype=torch.float64).to(self._flat).unsqueeze(1)


def _adam(gradients: Tensor, rates: Tensor, memory: State, settings: State) -> Tensor:
    lr, correction1, correction2 = rates
    first = memory["exp_avg"].lerp_(gradients, 1 - settings["beta1"])
    second = memory["exp_avg_sq"].lerp_(gradients * gradients, 1 - settings["beta2"])
    return lr / correction1 * first / ((second / correction2).sqrt_() + settings["eps"])


def _rmsprop(gradients: Tensor, rates: Tensor, memory: State, settings: State) -> Tensor:
    squares = memory["square_avg"].lerp_(gradients * gradients, 1 - settings["alpha"])
    return rates[0] * _with_momentum(gradients / (squares.sqrt() + settings["eps"]), memory, settings)


def _sgd(gradients: Tensor, rates: Tensor, memory: State, settings: State) -> Tensor:
    return rates[0] * _with_momentum(gradients, memory, settings)


def _with_momentum(direction: Tensor, memory: State, settings: State) -> Tensor:
    return memory["momentum_buffer"].mul_(settings["momentum"]).add_(direction)


# What each remembers, and its update.
OPTIMIZERS: dict[str, tuple[tuple[str, ...], Callable[[Tensor, Tensor, State, State], Tensor]]] = {
    "adam": (("exp_avg", "exp_avg_sq"), _adam),
    "rmsprop": (("square_avg", "momentum_buffer"), _rmsprop),
    "sgd": (("momentum_buffer",), _sgd),
}


def from_torch(state: Mapping[str, Any]) -> dict[str, Tensor]:
    """What a torch optimiser's `state_dict` remembers of all weights, end to end: (P,) by name."""
    by_weight = [entry for _, entry in sorted(state["state"].items())]
    names = {name for entry in by_weight for name, value in entry.items() if name != "step" and value is not None}
    return {name: torch.cat([entry[name].flatten() for entry in by_weight]) for name in names}


def to_torch(
    memory: State, empty: Mapping[str, Any], shapes: Sequence[torch.Size], steps: int, config: OptimizerConfig
) -> dict[str, Any]:
    """The `state_dict` of a torch optimiser that has taken so many steps.

    Args:
        empty: that of one that has taken none.
        shapes: of its weights in their order.
    """
    if steps == 0:
        return dict(empty)
    sizes = [shape.numel() for shape in shapes]
    state: dict[int, dict[str, Any]] = {place: {} for place in range(len(shapes))}
    for place in state:
        if config.name != "sgd":
            kind = torch.float32 if config.name == "adam" else memory["square_avg"].dtype  # fused ones count in float32
            state[place]["step"] = torch.tensor(float(steps), dtype=kind)
        elif config.momentum == 0:
            state[place]["momentum_buffer"] = None
    for name, values in memory.items():
        if name == "momentum_buffer" and config.momentum == 0:
            continue
        for place, part in enumerate(values.split(sizes)):
            state[place][name] = part.view(shapes[place]).clone()
    return {"state": state, "param_groups": empty["param_groups"]}
