"""K trials of one shape as one program: the same steps as each alone, over stacked weights and batches."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from recurrent_cells.config.schema import Config
from recurrent_cells.data.batches import Batches
from recurrent_cells.data.splits import Split
from recurrent_cells.models.classifier import Classifier
from recurrent_cells.models.stacked import StackedClassifier
from recurrent_cells.seeds import derive
from recurrent_cells.training.device import Device
from recurrent_cells.training.graph import Step, graphed
from recurrent_cells.training.optimizer import build_optimizer
from recurrent_cells.training.packs.optimizer import PackOptimizer, from_torch, to_torch
from recurrent_cells.training.progress import Progress
from recurrent_cells.training.window import Stopwatch, TrainWindow


@dataclass
class Member:
    """A trial of a pack.

    `classifier` is its network as it would be alone, with initial weights; `state`, if it goes on from somewhere, is
    as TrialModule.trial_state has it.
    """

    config: Config
    classifier: Classifier
    progress: Progress
    state: dict[str, Any] | None = None


class Pack:
    """Trains and evaluates its members, who stand at the same step; place k is that of member k everywhere."""

    def __init__(self, members: Sequence[Member], train: Split, val: Split, device: Device) -> None:
        self.members = members
        self._on = torch.device("cuda" if device.accelerator == "gpu" else "cpu")
        self._precision = device.precision
        dtype = torch.float64 if device.precision == "64-true" else torch.float32
        states = [member.state for member in members]
        self._network = StackedClassifier([member.classifier for member in members], self._on, dtype)
        for place, state in enumerate(states):
            if state is not None:
                self._network.flat[place] = self._network.row(state["weights"])
        memories = [{} if state is None else from_torch(state["optimizer"]) for state in states]
        self._optimizer = PackOptimizer([it.config.optimizer for it in members], self._network.flat, memories)
        self._best = self._network.flat.clone()
        for place, state in enumerate(states):
            if state is not None and state["best"] is not None:
                self._best[place] = self._network.row(state["best"]["weights"])
        self._compute: Step = self._compute_step
        self._to_be_graphed = self._on.type == "cuda" and members[0].config.trainer.cuda_graph
        self._is_graphed = False
        self._window = TrainWindow()
        windows = [state["window"] for state in states if state is not None]
        if windows:
            self._window.load_states(windows, self._on)
        self._stopwatch = Stopwatch()
        self._train, self._val = train.to(self._on, dtype), val.to(self._on, dtype)
        data = members[0].config.data
        self._batches = [Batches(self._train, data.batch_size, it.config.data.order, it.config.seed) for it in members]
        # As much at once as one trial has.
        self._eval_batch_size = max(data.batch_size, data.eval_batch_size // len(members))

    @property
    def step(self) -> int:
        return max(member.progress.step for member in self.members)  # one that has ended stays behind

    # --- training -----------------------------------------------------------------------------------------

    def train(self, stop: int) -> None:
        """Train on to step `stop`; after an exception all stand at the last step that was taken whole."""
        start, batch_size = self.step, self._batches[0].batch_size
        taken: list[tuple[Tensor, ...]] = []
        try:
            with self._stopwatch:
                indices = torch.stack([batches.indices(start, stop) for batches in self._batches], dim=1).to(self._on)
                rates = self._optimizer.rates(start, stop, lambda k, step: self.members[k].progress.learning_rate(step))
                for step in range(start, stop):
                    results = self._update(step, indices[step - start], rates[step - start])
                    taken.append(results)
        finally:
            if taken:
                losses, right, *norms = (torch.stack(rows) for rows in zip(*taken, strict=True))
                self._window.add(losses, right, norms[0] if norms else None, batch_size)
                self._stopwatch.steps += len(taken)
            for member in self.members:
                if not member.progress.ended:
                    member.progress.step = start + len(taken)

    def _update(self, step: int, indices: Tensor, rates: Tensor) -> tuple[Tensor, ...]:
        """One optimiser step of all; losses, right answers and, if any is clipped, gradient norms, each (K,)."""
        if self._network.drops_out:
            for member, generator in zip(self.members, self._network.generators, strict=True):
                generator.manual_seed(derive(member.config.seed, "dropout", step))
        elif self._to_be_graphed and not self._is_graphed:
            changed = [self._network.flat, *self._optimizer.memory.values()]
            self._compute, self._is_graphed = graphed(self._compute, [indices, rates], changed), True
        return self._compute(indices, rates)

    def _compute_step(self, indices: Tensor, rates: Tensor) -> tuple[Tensor, ...]:
        labels = self._train.targets[indices]
        with self._autocast():
            logits = self._network(self._train.sequences[indices])  # (K, B, T, F) →
            losses = _losses(logits, labels)
        norms = self._optimizer.step(self._network.gradients(losses), rates)
        told = losses.detach(), _right(logits.detach(), labels)[:, -1]
        return told if norms is None else (*told, norms)

    def rehearse(self) -> None:
        """Take the memory that a step takes, without taking one."""
        indices = torch.stack([batches.indices(0, 1)[0] for batches in self._batches]).to(self._on)
        with self._autocast():
            losses = _losses(self._network(self._train.sequences[indices]), self._train.targets[indices])
        self._network.gradients(losses)

    def training_points(self) -> list[tuple[float, float, float]]:
        """Loss, accuracy and gradient norm of each member since the last point of the training curves."""
        points = self._window.read(self.members[0].config.trainer.log_train == "batch")
        self._window.reset()
        return points

    @property
    def window_steps(self) -> int:
        return self._window.steps

    # --- evaluation ---------------------------------------------------------------------------------------

    @torch.no_grad()
    def evaluate(self) -> tuple[list[float], list[list[float]]]:
        """Validation losses, and accuracies (K, T') after each step the readout gives."""
        self._network.eval()
        count, loss, right = len(self._val), torch.zeros(1), torch.zeros(1)
        loss, right = loss.to(self._on, torch.float64), right.to(self._on, torch.int64)
        batches = zip(
            self._val.sequences.split(self._eval_batch_size),
            self._val.targets.split(self._eval_batch_size),
            strict=True,
        )
        for sequences, labels in batches:
            x = sequences.expand(len(self.members), *sequences.shape)
            y = labels.expand(len(self.members), -1)
            with self._autocast():
                logits = self._network(x)
                loss = loss + _losses(logits, y).double() * len(labels)
            right = right + _right(logits, y)
        self._network.train()
        return (loss / count).tolist(), (right.double() / count).tolist()

    def training_time(self) -> tuple[float, int]:
        """Seconds and steps of training since the last evaluation."""
        return self._stopwatch.lap()

    def keep(self, best: Sequence[bool]) -> None:
        """Take the weights of those members as their best so far."""
        chosen = torch.tensor(best, device=self._on).unsqueeze(1)
        self._best = torch.where(chosen, self._network.flat, self._best)

    # --- states -------------------------------------------------------------------------------------------

    def states(self) -> list[dict[str, Any]]:
        """The state of each member, as its TrialModule would have it, on the CPU."""
        now, best = self._network.flat.detach().cpu(), self._best.detach().cpu()
        memories = self._optimizer.states()
        return [
            self._state(member, now[k], best[k], memories[k], window)
            for k, (member, window) in enumerate(zip(self.members, self._window.states(len(self.members)), strict=True))
        ]

    def _state(
        self, member: Member, now: Tensor, best: Tensor, memory: dict[str, Tensor], window: dict[str, Any]
    ) -> dict[str, Any]:
        progress, settings = member.progress, member.config.optimizer
        latest = replace(settings, lr=progress.learning_rate(max(progress.step - 1, 0)))
        empty = build_optimizer(latest, member.classifier.parameters()).state_dict()
        shapes = list(self._network.shapes.values())
        fixed = {name: value.to(now.dtype) for name, value in member.classifier.state_dict().items()}
        return progress.state_dict() | {
            "weights": fixed | self._network.weights(now),
            "optimizer": to_torch(memory, empty, shapes, progress.step, settings),
            "scaler": None,
            "window": window,
            "best": progress.best
            and {
                "step": progress.best.step,
                "accuracy": progress.best.accuracy,
                "weights": fixed | self._network.weights(best),
            },
        }

    def _autocast(self) -> AbstractContextManager[Any]:
        if self._precision == "bf16-mixed":
            return torch.autocast(self._on.type, dtype=torch.bfloat16)
        return nullcontext()


def _losses(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean cross-entropy of each member in at least float32: logits (K, B, C) or (K, B, T, C), labels (K, B) → (K,)."""
    if logits.dtype in (torch.float16, torch.bfloat16):
        logits = logits.float()
    if logits.dim() == 4:
        labels = labels.unsqueeze(2).expand(-1, -1, logits.shape[2])
    losses = F.cross_entropy(logits.flatten(0, -2), labels.flatten(), reduction="none")
    return losses.view(len(logits), -1).mean(dim=1)


def _right(logits: Tensor, labels: Tensor) -> Tensor:
    """How many sequences are right after each step: (K, 1) of logits (K, B, C), (K, T) of logits (K, B, T, C)."""
    if logits.dim() == 3:
        logits = logits.unsqueeze(2)
    return (logits.argmax(dim=3) == labels.unsqueeze(2)).sum(dim=1)
