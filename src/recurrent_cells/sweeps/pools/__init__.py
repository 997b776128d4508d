"""Where the trials of a sweep run; a pool is a file here, chosen by `hydra/launcher=NAME`."""

import socket
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, ClassVar

from recurrent_cells.errors import UserError
from recurrent_cells.sweeps.view import counted
from recurrent_cells.tables import POOLS, Table
from recurrent_cells.trial.claim import Train
from recurrent_cells.trial.outcome import Outcome

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from recurrent_cells.sweeps.plan import Trial
    from recurrent_cells.tracking.store import Store


class Pool(ABC):
    """Starts trials and says how they ended; `prepare` comes first, `begin` before the first start, `end` last.

    The arguments of the constructor, with their defaults, are the keys of `hydra.launcher`. The constructor raises
    UserError if their values will not do.
    """

    table: ClassVar[Table] = POOLS
    name: ClassVar[str]
    # whether a signal interrupts `start` and `ended` at once, because they do not return while trials run
    blocks: ClassVar[bool] = False
    # how long a look for trials that have ended takes
    poll_seconds: ClassVar[float] = 0.02
    # whether trials of one shape train together
    packs: bool = False
    # whether trials have ended when the sweep does; else they are left in a queue, with the outcome `queued`
    waits: bool = True

    def prepare(self, train: Train, config: "DictConfig", store: "Store") -> None:
        """Check, before the sweep begins, that trials can run; raises UserError if they cannot.

        Args:
            train: trains the trial of a config and returns its result.
            config: of the sweep, before any of its choices is made.
        """
        self.train, self.config, self.store = train, config, store

    def refuse_file(self, hosts: Iterable[str]) -> None:
        """Raise UserError if the store is a file of this machine and trials may run on other hosts than that."""
        here = {socket.gethostname().partition(".")[0], "localhost"}
        others = sorted(host for host in hosts if host.partition(".")[0] not in here)
        if self.store.is_file and others:
            raise UserError(
                f"MLFLOW_TRACKING_URI={self.store.address}: no file for trials on other machines ({others[0]}); "
                "set it to a server, http://HOST:PORT"
            )

    @abstractmethod
    def begin(self) -> None:
        """Get ready for the first trial."""

    @property
    @abstractmethod
    def slots(self) -> int:
        """How many programs, each of one trial or several, run at once."""

    @property
    @abstractmethod
    def running(self) -> int:
        """How many programs run now."""

    def holds(self, trial: "Trial") -> bool:
        """Whether `start` takes a trial even while another process trains it: the pool's own, of an earlier sweep."""
        return False

    def grouped(self, trials: Sequence["Trial"]) -> "list[Sequence[Trial]]":
        """The trials by the program that each belongs to, in the order in which programs start."""
        if not self.packs:
            return [[trial] for trial in trials]
        from recurrent_cells.sweeps.packs import packed  # here: loads data

        return packed(trials, self.slots)

    def where(self, groups: "Iterable[Sequence[Trial]]", count: int) -> str:
        """In what the trials of some programs run, or so many trials one by one, in words."""
        if not self.packs:
            return f"on {counted(min(self.slots, count), 'slot')}"
        sizes = [len(group) for group in groups]
        alone = sizes.count(1)
        return f"in {counted(len(sizes) - alone, 'pack')}{f', {alone} alone' if alone else ''}"

    @abstractmethod
    def start(self, trials: "Sequence[Trial]") -> None:
        """Start one trial, or several as one program."""

    def heed(self, refused: "Callable[[Trial], Outcome | None]") -> None:
        """Take what is asked of trials that `start` took and that wait in a queue of the pool's, where it has one.

        Args:
            refused: what becomes of a trial that is not to begin any more; None if it may.
        """
        self.refused = refused

    @abstractmethod
    def ended(self, seconds: float) -> "Iterable[tuple[Trial, Outcome]]":
        """The trials that have ended since the last call, or that end within so many seconds."""

    @abstractmethod
    def stop(self, signum: int) -> None:
        """Have running trials save their state and end."""

    @abstractmethod
    def end(self) -> None:
        """End the trials that still run at once."""
