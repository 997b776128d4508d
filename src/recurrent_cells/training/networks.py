"""The networks of a program with their optimisers: one trial's as it is, or those of K trials stacked."""

from collections.abc import Sequence
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from recurrent_cells.models.classifier import trained_parameters
from recurrent_cells.models.masks import hash_dropout, is_hashed
from recurrent_cells.models.stacked import StackedClassifier
from recurrent_cells.seeds import derive
from recurrent_cells.training.device import to_device
from recurrent_cells.training.groups import grouped, set_rate
from recurrent_cells.training.member import Member
from recurrent_cells.training.optimizers import optimizer_of
from recurrent_cells.training.pack_optimizer import PackOptimizer


class Networks(Protocol):
    """What a program trains.

    Attributes:
        module: sequences → outputs; those of K networks have a leading dimension K, those of one have none.
        trained: the tensors whose gradients an update takes.
    """

    module: nn.Module
    trained: list[nn.Parameter]

    def seed_dropout(self, step: int) -> None:
        """Make the dropout masks of a step a function of each trial's seed and the step."""

    def total(self, losses: Tensor) -> Tensor:
        """The number whose gradients are taken, of the losses (K,) or of one ()."""

    def prepare(self, start: int, stop: int) -> None:
        """Bring to the device what updates from step `start` to `stop` need."""

    def update(self, gradients: Sequence[Tensor], step: int) -> Tensor | None:
        """Update all weights; the norms of the gradients before clipping, (K,) or (), if any is clipped."""

    def keep_best(self, best: Sequence[bool]) -> None:
        """Take the weights of these trials as their best so far."""

    def states(self) -> list[dict[str, Any]]:
        """The weights of each trial, the best ones, and the states of optimiser and gradient scaler."""


class SingleNetwork:
    """The network of one trial and torch's optimiser, with a gradient scaler in fp16."""

    def __init__(self, member: Member, device: torch.device, dtype: torch.dtype, precision: str) -> None:
        self._member, settings = member, member.config.optimizer
        self._drops_out, self._seeds = _drops_out(member), torch.zeros(1, dtype=torch.int64, device=device)
        if is_hashed(device):
            hash_dropout(member.classifier, self._seeds)
        self.module: nn.Module = member.classifier.to(device, dtype)
        kinds = trained_parameters(self.module)
        self.trained = [self.module.get_parameter(name) for name in kinds]
        self._clip_norm = settings.clip_norm
        self._scaler = torch.amp.GradScaler(device.type) if precision == "16-mixed" else None
        self._best: dict[str, Tensor] = {}
        if member.state is not None:
            self.module.load_state_dict(member.state["weights"])
            self._best = member.state["best"] and member.state["best"]["weights"]
        groups = grouped(settings, self.trained, list(kinds.values()))
        self.optimizer = optimizer_of(settings).build(settings, groups)
        if member.state is not None:
            self.optimizer.load_state_dict(member.state["optimizer"])
            if self._scaler is not None:
                self._scaler.load_state_dict(member.state["scaler"])

    def seed_dropout(self, step: int) -> None:
        if not self._drops_out:
            return
        seed = _dropout_seed(self._member, step)
        if is_hashed(self._seeds.device):
            self._seeds.fill_(seed)
        else:
            torch.default_generator.manual_seed(seed)

    def total(self, losses: Tensor) -> Tensor:
        return losses if self._scaler is None else self._scaler.scale(losses)

    def prepare(self, start: int, stop: int) -> None:
        pass

    def update(self, gradients: Sequence[Tensor], step: int) -> Tensor | None:
        for parameter, gradient in zip(self.trained, _each_its_own(gradients), strict=True):
            parameter.grad = gradient.contiguous()  # fused optimisers go by memory, not by strides
        set_rate(self.optimizer, self._member.progress.learning_rate(step))
        if self._scaler is not None:
            self._scaler.unscale_(self.optimizer)
        norm = None
        if self._clip_norm is not None:
            norm = nn.utils.clip_grad_norm_(self.trained, self._clip_norm, foreach=True)
        if self._scaler is None:
            self.optimizer.step()
        else:
            self._scaler.step(self.optimizer)
            self._scaler.update()
        for parameter in self.trained:  # as zero_grad, which takes its time
            parameter.grad = None
        return norm

    def keep_best(self, best: Sequence[bool]) -> None:
        if any(best):
            self._best = {name: it.detach().clone() for name, it in self.module.state_dict().items()}

    def states(self) -> list[dict[str, Any]]:
        content = {
            "weights": self.module.state_dict(),
            "best": self._best,
            "optimizer": self.optimizer.state_dict(),
            "scaler": None if self._scaler is None else self._scaler.state_dict(),
        }
        return [content]


class StackedNetworks:
    """The networks of K trials as one module over one matrix of weights, a row for each trial."""

    def __init__(self, members: Sequence[Member], device: torch.device, dtype: torch.dtype) -> None:
        self._members = members
        self._stack = StackedClassifier([member.classifier for member in members], device, dtype)
        self.module: nn.Module = self._stack
        self._drops_out = any(map(_drops_out, members))
        self._seeds, self._start = self._stack.seeds, 0
        states = [member.state for member in members]
        for place, state in enumerate(states):
            if state is not None:
                self._stack.flat[place] = self._stack.row(state["weights"])
        self._best = self._stack.flat.clone()
        for place, state in enumerate(states):
            if state is not None and state["best"] is not None:
                self._best[place] = self._stack.row(state["best"]["weights"])
        self._optimizer = PackOptimizer(
            [member.config.optimizer for member in members],
            self._stack.flat,
            lambda place, step: members[place].progress.learning_rate(step),
            [state and state["optimizer"] for state in states],
            list(self._stack.shapes.values()),
            list(trained_parameters(members[0].classifier).values()),
        )
        self.trained = self._stack.trained

    def seed_dropout(self, step: int) -> None:
        if not self._drops_out:
            return
        if is_hashed(self._stack.seeds.device):
            self._stack.seeds.copy_(self._seeds[step - self._start])
        else:
            for generator, member in zip(self._stack.generators, self._members, strict=True):
                generator.manual_seed(_dropout_seed(member, step))

    def total(self, losses: Tensor) -> Tensor:
        return losses.sum()

    def prepare(self, start: int, stop: int) -> None:
        self._optimizer.prepare(start, stop)
        if self._drops_out and is_hashed(self._stack.seeds.device):
            seeds = [[_dropout_seed(member, step) for member in self._members] for step in range(start, stop)]
            self._seeds, self._start = to_device(torch.tensor(seeds), self._stack.seeds.device), start

    def update(self, gradients: Sequence[Tensor], step: int) -> Tensor | None:
        return self._optimizer.step(torch.cat([gradient.flatten(1) for gradient in gradients], dim=1), step)

    def keep_best(self, best: Sequence[bool]) -> None:
        chosen = torch.tensor(best, device=self._best.device).unsqueeze(1)
        self._best = torch.where(chosen, self._stack.flat, self._best)

    def states(self) -> list[dict[str, Any]]:
        now, best = self._stack.flat.detach().cpu(), self._best.detach().cpu()
        steps = [member.progress.step for member in self._members]
        optimizers = self._optimizer.states(steps)
        return [
            {
                "weights": self._weights(member, now[place]),
                "best": self._weights(member, best[place]),
                "optimizer": optimizers[place],
                "scaler": None,
            }
            for place, member in enumerate(self._members)
        ]

    def _weights(self, member: Member, row: Tensor) -> dict[str, Tensor]:
        fixed = {name: value.to(row.dtype) for name, value in member.classifier.state_dict().items()}
        return fixed | self._stack.weights(row)


def _drops_out(member: Member) -> bool:
    return member.config.model.dropout > 0 or member.config.model.output_dropout > 0


def _dropout_seed(member: Member, step: int) -> int:
    return derive(member.config.seed, "dropout", step)


def _each_its_own(gradients: Sequence[Tensor]) -> list[Tensor]:
    """Two weights that are added have one gradient in one memory: scaled in place, it would be scaled twice."""
    places = [(gradient.untyped_storage()._cdata, gradient.storage_offset()) for gradient in gradients]
    return [
        gradient.clone() if places.index(place) < index else gradient
        for index, (gradient, place) in enumerate(zip(gradients, places, strict=True))
    ]
