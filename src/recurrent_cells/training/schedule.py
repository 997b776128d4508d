"""When things happen: the budget in steps, the next pause, and the learning rate, all functions of the step."""

import math
from dataclasses import dataclass

from recurrent_cells.config.schema import OptimizerConfig, TrainerConfig

# Steps run in one training_step: fewer returns to the Trainer's loop, at the price of coarser interruption.
CHUNK = 20


@dataclass(frozen=True)
class Schedule:
    """The budget and the steps at which training pauses to evaluate, log or save."""

    total_steps: int
    steps_per_epoch: int
    eval_every: int
    log_every: int
    checkpoint_every: int

    @classmethod
    def from_config(cls, trainer: TrainerConfig, train_size: int, batch_size: int) -> "Schedule":
        steps_per_epoch = train_size // batch_size
        if trainer.max_steps is not None:
            total_steps = trainer.max_steps
        elif trainer.max_images is not None:
            total_steps = trainer.max_images // batch_size
        else:
            assert trainer.max_epochs is not None
            total_steps = trainer.max_epochs * steps_per_epoch
        eval_every = trainer.eval_every or steps_per_epoch
        return cls(
            total_steps=total_steps,
            steps_per_epoch=steps_per_epoch,
            eval_every=eval_every,
            log_every=trainer.log_every,
            checkpoint_every=trainer.checkpoint_every or eval_every,
        )

    def next_evaluation(self, step: int) -> int:
        """The first step after `step` at which the network is evaluated; the end of training is one."""
        return min(_next_multiple(step, self.eval_every), self.total_steps)

    def next_pause(self, step: int) -> int:
        """The step to which training may run on from `step` without a break."""
        return min(
            step + CHUNK,
            self.next_evaluation(step),
            _next_multiple(step, self.log_every),
            _next_multiple(step, self.checkpoint_every),
        )

    def is_logged(self, step: int) -> bool:
        """Whether a point of the training curves is due after `step` steps; the end of training has one."""
        return step % self.log_every == 0 or step == self.total_steps

    def epoch(self, step: int) -> float:
        return step / self.steps_per_epoch


def _next_multiple(step: int, interval: int) -> int:
    return (step // interval + 1) * interval


def learning_rate(optimizer: OptimizerConfig, step: int, total_steps: int) -> float:
    """The learning rate of the update that follows `step` updates.

    Linear warm-up to `lr` over `warmup_steps`, then constant (`none`), half a cosine to 0 at `total_steps`
    (`cosine`), or multiplied by `gamma` every `step_size` steps (`step`).
    """
    warmup = optimizer.warmup_steps
    if step < warmup:
        return optimizer.lr * (step + 1) / warmup
    if optimizer.schedule == "cosine":
        progress = (step - warmup) / max(total_steps - warmup, 1)
        return optimizer.lr * 0.5 * (1 + math.cos(math.pi * min(progress, 1.0)))
    if optimizer.schedule == "step":
        return optimizer.lr * optimizer.gamma ** ((step - warmup) // optimizer.step_size)
    return optimizer.lr
