"""The optimisers of K trials over weights that are the rows of one matrix, each with its own settings."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple
from typing import Any

import torch
from torch import Tensor, nn

from recurrent_cells.config.schema import OptimizerConfig
from recurrent_cells.training.device import to_device
from recurrent_cells.training.groups import grouped, set_rate
from recurrent_cells.training.optimizers import optimizer_of

EPSILON = 1e-6  # as in torch.nn.utils.clip_grad_norm_
COLUMNS = ("weight_decay", "momentum", "beta1", "beta2", "alpha", "eps")


class PackOptimizer:
    """Updates the weights of K trials, the rows of `flat` (K, P), in place.

    An optimiser without an update for K trials is torch's, once for each trial.

    Args:
        configs: of one `name`; all else may differ.
        learning_rate: of a trial, by its place in the pack, at a step.
        states: for each trial the `state_dict` of its torch optimiser, None at the start.
        shapes: of a trial's weights, which lie in its row one after another.
        recurrent: of each weight, whether it leads from state to state.
    """

    def __init__(
        self,
        configs: Sequence[OptimizerConfig],
        flat: Tensor,
        learning_rate: Callable[[int, int], float],
        states: Sequence[Mapping[str, Any] | None],
        shapes: Sequence[torch.Size],
        recurrent: Sequence[bool],
    ) -> None:
        self._configs, self._flat, self._learning_rate = configs, flat, learning_rate
        self._shapes, self._recurrent = shapes, recurrent
        self._kind = optimizer_of(configs[0])
        self._clips = any(config.clip_norm is not None for config in configs)
        self._limits = self._column([config.clip_norm or float("inf") for config in configs])
        self._columns = {name: self._column([getattr(config, name) for config in configs]) for name in COLUMNS}
        decays = [config.weight_decay for config in configs]
        of_recurrent = [config.weight_decay * config.decays_recurrent for config in configs]
        factors = [config.recurrent_lr_factor for config in configs]
        self._decay = self._by_weight(decays, of_recurrent) if any(decays) else None
        self._factors = self._by_weight([1.0] * len(configs), factors) if set(factors) != {1.0} else None
        self._rows = [] if self._kind.memory else list(map(self._of_row, configs, flat, states))
        memories = [{} if state is None else _joined(state) for state in states]
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
        rows, configs = [], [self._configs[place] for place in self._different]
        for step in range(start, stop):
            corrections = [[1 - getattr(it, beta) ** (step + 1) for it in configs] for beta in ("beta1", "beta2")]
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
        rates, decayed = self._rates[step - self._start], None
        if self._decay is not None and self._kind.decouples_decay:
            decayed = rates[0] * self._decay * self._flat
        elif self._decay is not None:
            gradients = gradients + self._decay * self._flat
        change = self._kind.update(gradients, rates, self.memory, self._columns)
        if decayed is not None:
            change.add_(decayed)
        if self._factors is not None:
            change.mul_(self._factors)
        self._flat.sub_(change)
        return norms

    def _step_rows(self, gradients: Tensor, step: int) -> None:
        for place, (optimizer, gradient) in enumerate(zip(self._rows, gradients, strict=True)):
            set_rate(optimizer, self._learning_rate(place, step))
            parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
            for parameter, part in zip(parameters, self._weights(gradient), strict=True):
                parameter.grad = part
            optimizer.step()

    def states(self, steps: Sequence[int]) -> list[dict[str, Any]]:
        """The `state_dict` of each trial's torch optimiser, on the CPU.

        Args:
            steps: how many each has taken.
        """
        memory = {name: values.cpu() for name, values in self.memory.items()}
        return [
            self._state(place, count, {name: values[place] for name, values in memory.items()})
            for place, count in enumerate(steps)
        ]

    def _state(self, place: int, steps: int, memory: Mapping[str, Tensor]) -> dict[str, Any]:
        config = self._configs[place]
        empty = self._built(config, [torch.empty(shape) for shape in self._shapes])
        set_rate(empty, self._learning_rate(place, max(steps - 1, 0)))
        entries: dict[int, dict[str, Any]] = {}
        if self._rows:
            entries = {weight: _on_cpu(entry) for weight, entry in self._rows[place].state_dict()["state"].items()}
        elif steps:
            entries = _parted(self._entry(config, memory, steps), self._shapes)
        return empty.state_dict() | {"state": entries}

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

    def _built(self, config: OptimizerConfig, weights: Sequence[Tensor]) -> torch.optim.Optimizer:
        """torch's optimiser of one trial's weights."""
        return self._kind.build(config, grouped(config, [nn.Parameter(it) for it in weights], self._recurrent))

    def _of_row(self, config: OptimizerConfig, row: Tensor, state: Mapping[str, Any] | None) -> torch.optim.Optimizer:
        """torch's optimiser of the weights in a row, which goes on from a state."""
        optimizer = self._built(config, self._weights(row))
        if state is not None:
            optimizer.load_state_dict(dict(state))
        return optimizer

    def _weights(self, row: Tensor) -> list[Tensor]:
        """One trial's weights in their shapes, views of its row."""
        parts = row.split([shape.numel() for shape in self._shapes])
        return [part.view(shape) for part, shape in zip(parts, self._shapes, strict=True)]

    def _by_weight(self, values: Sequence[float], of_recurrent: Sequence[float]) -> Tensor:
        """A value of each trial and one of its recurrent weights: (K, P), or (K, 1) where these are the same."""
        columns = self._column(values)
        if values == of_recurrent:
            return columns
        kinds = zip(self._shapes, self._recurrent, strict=True)
        is_recurrent = torch.cat([torch.full((shape.numel(),), it) for shape, it in kinds])
        return torch.where(is_recurrent.to(columns.device), self._column(of_recurrent), columns)

    def _column(self, values: Sequence[float]) -> Tensor:
        return torch.tensor(values, dtype=torch.float64).to(self._flat).unsqueeze(1)


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


def _on_cpu(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value.cpu().clone() if isinstance(value, Tensor) else value for name, value in entry.items()}
