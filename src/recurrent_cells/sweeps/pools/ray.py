"""Trials as Ray tasks, on this machine or on the nodes of a cluster."""

import importlib.util
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from recurrent_cells.errors import UserError
from recurrent_cells.sweeps.packs import most_of
from recurrent_cells.sweeps.pools import Pool
from recurrent_cells.sweeps.ray import cluster
from recurrent_cells.trial.claim import Train
from recurrent_cells.trial.outcome import Outcome

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from recurrent_cells.sweeps.plan import Trial
    from recurrent_cells.sweeps.ray.tasks import Tasks
    from recurrent_cells.tracking.store import Store


class RayPool(Pool):
    """Trains each trial, or each pack of them, as a Ray task. A node that dies costs the trials on that node.

    Args:
        address: null starts Ray on this machine for the length of the sweep; HOST:PORT or `auto` is a cluster that
            this machine is a node of.
        num_cpus: what a trial takes of a node; fractions share a processor.
        num_gpus: the same; null is 1 where trials may use a GPU and the cluster has one, else 0.
        max_pack: null trains each trial by itself; else as with `packed`.
    """

    name = "ray"
    poll_seconds = 0.1

    def __init__(
        self,
        address: str | None = None,
        num_cpus: float = 1.0,
        num_gpus: float | None = None,
        max_pack: int | str | None = None,
    ) -> None:
        if importlib.util.find_spec("ray") is None:
            raise UserError("hydra/launcher=ray: Ray is not installed; pip install --editable '.[ray]' installs it")
        for key, amount in (("num_cpus", num_cpus), ("num_gpus", num_gpus or 0)):
            if amount < 0 or (amount > 1 and amount % 1 != 0):
                raise UserError(f"hydra.launcher.{key}={amount:g}: allowed is a whole number or a fraction of 1")
        self._address, self._num_cpus, self._num_gpus = address, num_cpus, num_gpus
        self._most = None if max_pack is None else most_of(max_pack)
        self.packs = max_pack is not None
        self._tasks: Tasks

    def prepare(self, train: Train, config: "DictConfig", store: "Store") -> None:
        """Start Ray, or connect to the cluster.

        Raises:
            UserError: if there is no cluster, no node can hold a trial, or the store is a file of this machine and
                some nodes are on others.
        """
        super().prepare(train, config, store)
        cluster.connect(self._address)
        if self._num_gpus is None:
            self._num_gpus = 1 if config.trainer.accelerator != "cpu" and cluster.has_gpus() else 0
        if not self._num_cpus and not self._num_gpus:
            raise UserError("hydra.launcher.num_cpus=0: a trial must take something; give num_cpus or num_gpus")
        if not self.slots:
            raise UserError(
                f"hydra.launcher.num_cpus={self._num_cpus:g} num_gpus={self._num_gpus:g}: "
                "no node of the cluster has as much; take less"
            )
        self.refuse_file(cluster.other_hosts())
        self.packs = self.packs and (self._most is not None or self._num_gpus > 0)

    def begin(self) -> None:
        from recurrent_cells.sweeps.ray.tasks import Tasks

        self._tasks = Tasks(self.store, self.train, self._num_cpus, self._num_gpus or 0, self._most)

    @property
    def slots(self) -> int:
        return cluster.places(self._num_cpus, self._num_gpus or 0)

    @property
    def running(self) -> int:
        return len(self._tasks.running)

    def start(self, trials: "Sequence[Trial]") -> None:
        self._tasks.start(trials)

    def ended(self, seconds: float) -> "Iterable[tuple[Trial, Outcome]]":
        return self._tasks.ended(seconds)

    def stop(self, signum: int) -> None:
        self._tasks.cancel()

    def end(self) -> None:
        self._tasks.end()
