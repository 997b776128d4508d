"""Trials of one shape as one program, each program in a process of its own."""

from recurrent_cells.sweeps.packs import AUTO, most_of
from recurrent_cells.sweeps.pools.local import LocalPool
from recurrent_cells.sweeps.view import say


class PackedPool(LocalPool):
    """Trains trials of one shape as one program; a trial that shares its shape with no other trains by itself.

    Args:
        slots: how many packs are trained at once; null is one, or one per GPU.
        max_pack: the most trials of a pack; `auto` is as many as the GPU's memory holds, and none on a CPU, where
            processes of their own are faster.
    """

    name = "packed"
    packs = True

    def __init__(self, slots: int | None = None, max_pack: int | str = AUTO) -> None:
        super().__init__(slots)
        self.most = most_of(max_pack)

    def begin(self) -> None:
        super().begin()
        if self.packs and self.most is None and self.gpus == 0:
            say("no GPU: trials run in processes of their own; hydra.launcher.max_pack=N would pack them")
            self.packs = False
