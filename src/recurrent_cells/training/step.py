"""One optimiser step of a trial."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.amp import GradScaler
from torch.optim import Optimizer

from recurrent_cells.config.schema import Config
from recurrent_cells.seeds import derive
from recurrent_cells.training.graph import graphed
from recurrent_cells.training.optimizer import clip_gradients, set_learning_rate
from recurrent_cells.training.statistics import sequence_loss


class Taken(NamedTuple):
    """What came of a step; `norm` is that of the gradients if they are clipped."""

    loss: Tensor
    logits: Tensor
    norm: Tensor | None = None


def drops_out(config: Config) -> bool:
    return config.model.dropout > 0 or config.model.output_dropout > 0


def can_be_graphed(config: Config, scaler: GradScaler | None) -> bool:
    """Whether every step launches the same kernels, and all that changes between steps are tensors."""
    plain = config.optimizer.name == "adam" and not config.trainer.detect_anomaly
    return config.trainer.cuda_graph and plain and not drops_out(config) and scaler is None


class TrainStep:
    """Forward, loss, backward, clipping and update; on a GPU as one CUDA graph where nothing but Adam is to be done.

    Args:
        scaler: of gradients, with which nothing is recorded: whether it leaves out a step is not known before.
        learning_rate: of a step.
    """

    def __init__(
        self,
        config: Config,
        classifier: nn.Module,
        optimizer: Optimizer,
        scaler: GradScaler | None,
        learning_rate: Callable[[int], float],
    ) -> None:
        self._classifier, self._optimizer, self._scaler = classifier, optimizer, scaler
        self._learning_rate, self._clip_norm, self._seed = learning_rate, config.optimizer.clip_norm, config.seed
        self._trained = [parameter for parameter in classifier.parameters() if parameter.requires_grad]
        self._device = self._trained[0].device
        self._drops_out = drops_out(config)
        self._to_be_graphed = self._device.type == "cuda" and can_be_graphed(config, scaler)
        self._replay: Callable[..., tuple[Tensor, ...]] | None = None

    def __call__(self, step: int, sequences: Tensor, labels: Tensor) -> Taken:
        """Sequences (B, T, F) and labels (B,)."""
        if self._drops_out:
            self._reseed(step)
        lr = self._learning_rate(step)
        if self._replay is not None:
            taken = Taken(*self._replay(sequences, labels, self._as_tensor(lr)))
        else:
            taken = self._compute(sequences, labels, lr)
            if not self._to_be_graphed:
                return taken
            self._replay = self._graphed(sequences, labels, lr)  # now that the optimiser has what it changes
        set_learning_rate(self._optimizer, lr)  # a number again, for who saves it
        return taken

    def _compute(self, sequences: Tensor, labels: Tensor, lr: float | Tensor) -> Taken:
        set_learning_rate(self._optimizer, lr)
        logits = self._classifier(sequences)
        loss = sequence_loss(logits, labels)
        (loss if self._scaler is None else self._scaler.scale(loss)).backward()
        if self._scaler is not None:
            self._scaler.unscale_(self._optimizer)
        norm = None if self._clip_norm is None else clip_gradients(self._trained, self._clip_norm)
        if self._scaler is None:
            self._optimizer.step()
        else:
            self._scaler.step(self._optimizer)
            self._scaler.update()
        for parameter in self._trained:  # as zero_grad, which takes its time
            parameter.grad = None
        return Taken(loss.detach(), logits.detach(), norm)

    def _graphed(self, sequences: Tensor, labels: Tensor, lr: float) -> Callable[..., tuple[Tensor, ...]]:
        def compute(sequences: Tensor, labels: Tensor, lr: Tensor) -> tuple[Tensor, ...]:
            return tuple(it for it in self._compute(sequences, labels, lr) if it is not None)

        memory = [value for state in self._optimizer.state.values() for value in state.values()]
        changed = [*self._trained, *self._classifier.buffers(), *memory]
        return graphed(compute, [sequences, labels, self._as_tensor(lr)], changed)

    def _as_tensor(self, lr: float) -> Tensor:
        return torch.full((), lr, device=self._device)

    def _reseed(self, step: int) -> None:
        seed = derive(self._seed, "dropout", step)
        if self._device.type == "cuda":
            torch.cuda.manual_seed(seed)
        else:
            torch.default_generator.manual_seed(seed)
