"""Where the trials of a sweep come from: a grid knows all of them, a search as others end."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

from recurrent_cells.sweeps.plan import Trial
from recurrent_cells.trial.outcome import Outcome


class Feed(ABC):
    """Gives trials to train and takes their outcomes; often asked, so that every answer comes soon.

    Attributes:
        outcomes: of the trials that have ended, by fingerprint.
        refused: lines on trials that have no config.
    """

    def __init__(self) -> None:
        self.outcomes: dict[str, Outcome] = {}
        self.refused: list[str] = []

    @property
    @abstractmethod
    def trials(self) -> Sequence[Trial]:
        """All trials of the sweep as far as they are known."""

    @abstractmethod
    def ask(self) -> Sequence[Trial]:
        """The next trials to train; empty if there are none at this moment."""

    def tell(self, trial: Trial, outcome: Outcome) -> None:
        """Take how a trial ended for good."""
        self.outcomes[trial.fingerprint] = outcome

    @abstractmethod
    def disconnect(self) -> None:
        """Close connections that a fork must not share."""

    @abstractmethod
    def close(self) -> None:
        """Have in `trials` all that are known, those of other processes too."""

    @property
    @abstractmethod
    def done(self) -> bool:
        """Whether no more trials will come."""

    @property
    @abstractmethod
    def waiting(self) -> int:
        """How many trials are still to come, as far as that is known."""


class GridFeed(Feed):
    """Trials that are all known; the longest come first, so that none is left alone at the end.

    Args:
        todo: the trials to train.
        trials: all trials of the sweep.
    """

    def __init__(self, todo: Sequence[Trial], trials: Sequence[Trial] = ()) -> None:
        super().__init__()
        self._todo = sorted(todo, key=lambda trial: -trial.work)
        self._trials = trials

    @property
    def trials(self) -> Sequence[Trial]:
        return self._trials

    def ask(self) -> Sequence[Trial]:
        trials, self._todo = self._todo, []
        return trials

    def disconnect(self) -> None:
        """Nothing: no connection is open."""

    def close(self) -> None:
        """Nothing: all trials are known."""

    @property
    def done(self) -> bool:
        return not self._todo

    @property
    def waiting(self) -> int:
        return len(self._todo)
