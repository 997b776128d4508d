"""The optimisers of K trials over weights that are the rows of one matrix, each with its own settings."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple
from typing import Any

import torch
from torch import Tensor, nn

from recurrent_cells.config.schema import OptimizerConfig
from recurrent_cells.training.device import to_device
from recurrent_cells.training.optimizers import optimizer_of

EPSILON = 1e-6  # as in torch.nn.utils.clip_grad_norm_
COLUMNS = ("weight_decay", "momentum", "beta1", "beta2", "alpha", "eps")


class PackOptimizer:
    """Updates the weights of K trials, the rows of `flat` (K, P), in place.

    An optimiser without an update for K trials is torch's, once for each row.

    Args:
        configs: of one `name`; all else may differ.
        learning_rate: of a trial, by its place in the pack, at a step.
        states: for each trial the `state_dict` of its torch optimiser, None at the start.
    """

    def __init__(
        self,
        configs: Sequence[OptimizerConfig],
        flat: Tensor,
        learning_rate: Callable[[int, int], float],
        states: Sequence[Mapping[str, Any] | None],
    ) -> None:
        self._configs, self._flat, self._learning_rate = configs, flat, learning_rate
        self._kind = optimizer_of(configs[0])
        self._decays = any(config.weight_decay > 0 for config in configs)
        self._clips = any(config.clip_norm is not None for config in configs)
        self._limits = self._column([config.clip_norm or float("inf") for config in configs])
        self._columns = {name: self._column([getattr(config, name) for config in configs]) for name in COLUMNS}
        memories = [{} if state is None else _joined(state) for state in states]
        self._rows: list[torch.optim.Optimizer] = []
        if not self._kind.memory:
            self._rows = [
                _of_row(self._kind.build(config, [nn.Parameter(row)]), memory)
                for config, row, memory in zip(configs, flat, memories, strict=True)
            ]
        self.memory = {
            name: torch.stack([memory.get(name, torch.zeros_like(flat[0])).to(flat) for memory in memories])
            for name in self._kind.memory
        }
        self._start, self._rates = 0, flat
        # The trials whose rates are computed, one for each setting, and of each trial which of these it follows.
        settings = [astuple(config) for config in configs]
        self._different = [settings.index(it) for it in dict.fromkeys(settings)]
        self._which = torch.tensor([self._different.index(settings.index(it)) for it in settings])

    def prepare(self, start: int, stop: int) -> None:
        """Bring what changes from step to step, from `start` to `stop`, to the device at once."""
        rows = []
        for step in range(start, stop):
            configs = [self._configs[place] for place in self._different]
            corrections = [
                [1 - beta ** (step + 1) for beta in betas] for betas in zip(*map(_betas, configs), strict=True)
            ]
            rows.append([[self._learning_rate(place, step) for place in self._different], *corrections])
        self._start = start
        rates = torch.tensor(rows, dtype=torch.float64)[:, :, self._which]  # (S, 3, K)
        self._rates = to_device(rates.to(self._flat.dtype), self._flat.device).unsqueeze(-1)

    def step(self, gradients: Tensor, step: int) -> Tensor | None:
        """One update of all trials from gradients (K, P); their norms (K,) before clipping, if any is clipped."""
        norms = None
        if self._clips:
            norms = torch.linalg.vector_norm(gradients, dim=1)
            gradients = gradients * (self._limits / (norms.unsqueeze(1) + EPSILON)).clamp(max=1.0)
        if self._rows:
            self._step_rows(gradients, step)
            return norms
        if self._decays:
            gradients = gradients + self._columns["weight_decay"] * self._flat
        self._flat.sub_(self._kind.update(gradients, self._rates[step - self._start], self.memory, self._columns))
        return norms

    def _step_rows(self, gradients: Tensor, step: int) -> None:
        for place, (optimizer, gradient) in enumerate(zip(self._rows, gradients, strict=True)):
            (group,) = optimizer.param_groups
            group["params"][0].grad, group["lr"] = gradient, self._learning_rate(place, step)
            optimizer.step()

    def states(self, steps: Sequence[int], shapes: Sequence[torch.Size]) -> list[dict[str, Any]]:
        """The `state_dict` of each trial's torch optimiser, on the CPU.

        Args:
            steps: how many each has taken.
            shapes: of its weights in their order.
        """
        memory = {name: values.cpu() for name, values in self.memory.items()}
        return [
            self._state(place, count, {name: values[place] for name, values in memory.items()}, shapes)
            for place, count in enumerate(steps)
        ]

    def _state(
        self, place: int, steps: int, memory: Mapping[str, Tensor], shapes: Sequence[torch.Size]
    ) -> dict[str, Any]:
        config = self._configs[place]
        empty = self._kind.build(config, [nn.Parameter(torch.empty(shape)) for shape in shapes])
        (group,) = empty.param_groups
        group["lr"] = self._learning_rate(place, max(steps - 1, 0))
        entry = self._rows[place].state_dict()["state"].get(0, {}) if self._rows else self._entry(config, memory, steps)
        content = empty.state_dict()
        return content | {"state": _parted(entry, shapes) if steps else {}}

    def _entry(self, config: OptimizerConfig, memory: Mapping[str, Tensor], steps: int) -> dict[str, Any]:
        """What torch's optimiser would remember of all weights as one; how, a step of one weight shows."""
        weight = nn.Parameter(torch.zeros(1, dtype=self._flat.dtype))
        weight.grad = torch.zeros_like(weight)
        sample, default = self._kind.build(config, [weight]), torch.get_default_dtype()
        torch.set_default_dtype(self._flat.dtype)  # as in a step: torch counts steps in it
        try:
            sample.step()
        finally:
            torch.set_default_dtype(default)
        entry = dict(sample.state[weight])
        for name, value in entry.items():
            if value is not None:
                entry[name] = memory[name] if name in memory else torch.full_like(value, steps)
        return entry

    def _column(self, values: Sequence[float]) -> Tensor:
        return torch.tensor(values, dtype=torch.float64).to(self._flat).unsqueeze(1)


def _betas(config: OptimizerConfig) -> tuple[float, float]:
    return config.beta1, config.beta2


def _of_row(optimizer: torch.optim.Optimizer, memory: Mapping[str, Tensor]) -> torch.optim.Optimizer:
    """An optimiser of one row of weights that goes on from a memory."""
    if memory:
        optimizer.load_state_dict(optimizer.state_dict() | {"state": {0: dict(memory)}})
    return optimizer


def _joined(state: Mapping[str, Any]) -> dict[str, Tensor]:
    """What a torch optimiser remembers of all weights end to end, (P,) by name; of steps the count that all share."""
    entries = [entry for _, entry in sorted(state["state"].items())]
    names = [name for name, value in entries[0].items() if value is not None] if entries else []
    return {
        name: entries[0][name] if name == "step" else torch.cat([entry[name].flatten() for entry in entries])
        for name in names
    }


def _parted(entry: Mapping[str, Any], shapes: Sequence[torch.Size]) -> dict[int, dict[str, Any]]:
    """What an optimiser remembers of all weights end to end, by the place of each weight."""
    sizes = [shape.numel() for shape in shapes]
    parts = {
        name: [part.view(shape).clone() for part, shape in zip(value.cpu().split(sizes), shapes, strict=True)]
        for name, value in entry.items()
        if isinstance(value, Tensor) and value.numel() == sum(sizes) and value.dim() == 1
    }
    return {
        place: {
            name: parts[name][place] if name in parts else value.clone() if isinstance(value, Tensor) else value
            for name, value in entry.items()
        }
        for place in range(len(shapes))
    }
