"""A class after every step: that of the sequence, or one for each step."""

import torch
import torch.nn.functional as F
from torch import Tensor

from recurrent_cells.lengths import NOT_ASKED, in_padding, last_valid
from recurrent_cells.tasks.classification import Classification, cross_entropy, in_full_precision


class PerStep(Classification):
    """The mean cross-entropy of the answers after all valid steps, of each sequence and then over sequences.

    Targets (…, B) are asked for after every step; what counts is the last answer. Targets (…, B, T) are a class for
    each step, -1 where none is asked for; what counts are all answers that are asked for.
    """

    name, every_step = "per_step", True

    def loss(self, outputs: Tensor, targets: Tensor, lengths: Tensor | None = None) -> Tensor:
        if not self.targets.of_steps:
            targets = targets.unsqueeze(-1).expand(outputs.shape[:-1])
            if lengths is None:
                return cross_entropy(outputs.flatten(-3, -2), targets.flatten(-2))
        if lengths is not None:
            targets = targets.masked_fill(in_padding(lengths, outputs.shape[-2]), NOT_ASKED)
        logits = in_full_precision(outputs).flatten(0, -2)
        losses = F.cross_entropy(logits, targets.flatten(), ignore_index=NOT_ASKED, reduction="none")
        return _mean(losses.view(targets.shape), targets).mean(dim=-1)

    def final(self, outputs: Tensor, lengths: Tensor | None = None) -> Tensor:
        if self.targets.of_steps:
            return outputs
        return outputs[..., -1, :] if lengths is None else last_valid(outputs, lengths)

    def outcomes(self, answers: Tensor, targets: Tensor) -> Tensor:
        judged = self.judge(answers, targets)
        return _mean(judged, targets) if self.targets.of_steps else judged

    def scores(self, outputs: Tensor, targets: Tensor, lengths: Tensor | None = None) -> Tensor:
        """After t steps, T' = T, where a shorter sequence has its last answer; once where each step has a class."""
        if self.targets.of_steps:
            return super().scores(outputs, targets, lengths)
        scores = self.judge(outputs, targets.unsqueeze(-1).expand(outputs.shape[:-1]))
        if lengths is None:
            return scores
        steps = torch.arange(outputs.shape[-2], device=outputs.device)
        return scores.gather(-1, torch.minimum(steps, lengths.unsqueeze(-1) - 1))


def _mean(values: Tensor, targets: Tensor) -> Tensor:
    """The mean over the steps at which a class is asked for, (…, T) → (…)."""
    asked = targets != NOT_ASKED
    return (values * asked).sum(dim=-1) / asked.sum(dim=-1).clamp(min=1)
