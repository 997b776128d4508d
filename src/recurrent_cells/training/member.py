"""A trial that is being trained."""

from dataclasses import dataclass
from typing import Any

from recurrent_cells.config.schema import Config
from recurrent_cells.errors import TrialError
from recurrent_cells.models.classifier import Classifier
from recurrent_cells.tracking.run import TrialRun
from recurrent_cells.training.progress import Progress


@dataclass(eq=False)
class Member:
    """A trial of a program: its network, how far it has come, and its run.

    Args:
        classifier: the network as it is alone, on the CPU, with initial weights.
        state: all that training depends on, as `Program.states` has it; None before the first step.
        ended: whether there is nothing left to train: its budget is spent, it was stopped early, or it failed.
        error: why it failed, or was stopped.
        told: whether `Fit.ended` was called with it.
    """

    config: Config
    classifier: Classifier
    progress: Progress
    run: TrialRun
    state: dict[str, Any] | None = None
    ended: bool = False
    error: TrialError | None = None
    told: bool = False

    def chosen_weights(self) -> dict[str, Any]:
        """The weights to test with: those of the best evaluation, or the last."""
        assert self.state is not None
        best = self.config.trainer.test_with == "best"
        weights: dict[str, Any] = (self.state["best"] if best else self.state)["weights"]
        return weights
