"""Trials as processes forked from this one, which has everything imported and the data loaded."""

import gc
import os
import signal
import time
from collections.abc import Iterator, Sequence
from functools import cached_property, partial
from typing import TYPE_CHECKING

from recurrent_cells.errors import UserError
from recurrent_cells.sweeps.pools import Pool
from recurrent_cells.sweeps.processes import Children
from recurrent_cells.trial.outcome import Outcome, train_together

if TYPE_CHECKING:
    from recurrent_cells.sweeps.plan import Trial


class LocalPool(Pool):
    """Trains each trial in a process that dies with this one.

    Args:
        slots: how many trials run at once; null is one per CPU core, or one per GPU where trials run on GPUs.
    """

    name = "local"
    # the most trials of a pack; None is as many as the GPU's memory holds
    most: int | None = None

    def __init__(self, slots: int | None = None) -> None:
        if slots is not None and slots < 1:
            raise UserError(
                f"hydra.launcher.slots={slots}: allowed is an integer of at least 1, "
                "or null (one per CPU core, or per GPU)"
            )
        self._slots = slots
        self._children: Children[Trial] = Children()

    def begin(self) -> None:
        """Import what trials need, so that their processes start with it.

        One thread only: a fork after two-threaded tensor operations can deadlock.
        """
        import torch

        from recurrent_cells.training.device import num_gpus, use_threads

        signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # ignored, as some supervisors have it, ended children are lost
        use_threads(1)
        if torch.cuda.is_initialized():
            raise RuntimeError("CUDA is initialised in this process, which must not fork: use hydra/launcher=basic")
        import recurrent_cells.trial.warm  # noqa: F401
        from recurrent_cells.tracking.checkout import code_diff, git_tags
        from recurrent_cells.tracking.provenance import library_tags, packages

        if self.config.registry and num_gpus() == 0:  # an export might wake CUDA before the fork
            from recurrent_cells.tracking import model

            model.warm_up()
        git_tags()
        library_tags()
        code_diff()
        packages()
        gc.freeze()  # else a collection in a child touches, and so copies, every object of this process

    @cached_property
    def gpus(self) -> int:
        """How many GPUs trials may use."""
        from recurrent_cells.training.device import num_gpus

        return 0 if self.config.trainer.accelerator == "cpu" else num_gpus()

    @property
    def slots(self) -> int:
        return self._slots or self.gpus or (1 if self.packs else len(os.sched_getaffinity(0)))

    @property
    def running(self) -> int:
        return len(self._children)

    def start(self, trials: "Sequence[Trial]") -> None:
        configs = [trial.config for trial in trials]

        work = partial(train_together, self.train, configs, self.most)
        slot = self._children.free_slot
        self._children.fork(slot, trials, work, gpu_of_slot(slot, self.gpus))

    def ended(self, seconds: float) -> "Iterator[tuple[Trial, Outcome]]":
        yield from self._children.outcomes()
        time.sleep(seconds)

    def stop(self, signum: int) -> None:
        self._children.signal(signum)

    def end(self) -> None:
        gc.unfreeze()
        self._children.kill()


def gpu_of_slot(slot: int, gpus: int) -> dict[str, str]:
    """The environment that shows a slot its one GPU, of those the user made visible; empty where there is no choice."""
    if gpus < 2:
        return {}
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")[:gpus]
    return {"CUDA_VISIBLE_DEVICES": visible[slot % gpus] if len(visible) == gpus else str(slot % gpus)}
