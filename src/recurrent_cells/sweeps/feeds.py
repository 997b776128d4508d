"""Where the trials of a sweep come from: a grid knows all of them, a search as others end."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

from recurrent_cells.sweeps.plan import Trial
from recurrent_cells.trial.outcome import Outcome


class Feed(ABC):
    """Gives trials to train and takes their outcomes; often asked, so that every answer comes soon.

    Args:
        outcomes: of the trials that have ended, by fingerprint.
    """

    def __init__(self) -> None:
        self.outcomes: dict[str, Outcome] = {}

    @abstractmethod
    def ask(self) -> Sequence[Trial]:
        """The next trials to train; empty if there are none at this moment."""

    def tell(self, trial: Trial, outcome: Outcome) -> None:
        """Take how a trial ended for good."""
        self.outcomes[trial.fingerprint] = outcome

    @property
    @abstractmethod
    def done(self) -> bool:
        """Whether no more trials will come."""

    @property
    @abstractmethod
    def waiting(self) -> int:
        """How many trials are still to come, as far as that is known."""


class GridFeed(Feed):
    """Trials that are all known; the longest come first, so that none is left alone at the end."""

    def __init__(self, trials: Sequence[Trial]) -> None:
        super().__init__()
        self._trials = sorted(trials, key=lambda trial: -trial.work)

    def ask(self) -> Sequence[Trial]:
        trials, self._trials = self._trials, []
        return trials

    @property
    def done(self) -> bool:
        return not self._trials

    @property
    def waiting(self) -> int:
        return len(self._trials)
