"""Jobs that become known one by one, as others end: how a search meets a launcher."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from recurrent_cells.trial.outcome import Outcome


@dataclass(frozen=True)
class Job:
    """What a launcher starts: the overrides of a trial, and what it is called."""

    label: str
    overrides: Sequence[str]


class Feed(Protocol):
    """Where a launcher gets its jobs and leaves their outcomes; it looks often, so both answer soon."""

    def next(self) -> Job | None:
        """The next job to start; None where there is none at this moment."""

    def ended(self, job: Job, outcome: Outcome) -> None:
        """Take what became of a job."""

    @property
    def done(self) -> bool:
        """Whether no job will come any more, those running all ended."""

    @property
    def waiting(self) -> int:
        """How many jobs are still to come, as far as that is known."""


@runtime_checkable
class FedLauncher(Protocol):
    """A launcher that starts the next job as soon as another ends."""

    def feed(self, feed: Feed, first_number: int = 0) -> None: ...


class Listed:
    """A feed of jobs that are all known."""

    def __init__(self, jobs: Sequence[Job]) -> None:
        self._jobs = jobs
        self._started = 0
        self._outcomes: dict[int, Outcome] = {}

    def next(self) -> Job | None:
        if self._started == len(self._jobs):
            return None
        self._started += 1
        return self._jobs[self._started - 1]

    def ended(self, job: Job, outcome: Outcome) -> None:
        self._outcomes[id(job)] = outcome

    @property
    def done(self) -> bool:
        return len(self._outcomes) == len(self._jobs)

    @property
    def waiting(self) -> int:
        return len(self._jobs) - self._started

    @property
    def outcomes(self) -> list[Outcome]:
        """Those of all jobs in their order."""
        return [self._outcomes[id(job)] for job in self._jobs]
