"""What is checked, and how large: at full size on a GPU, at toy sizes on a CPU."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple


class Point(NamedTuple):
    """One measurement: its name within the step, and what measures it; the result is plain JSON."""

    name: str
    measure: Callable[[], dict[str, Any]]


@dataclass(frozen=True)
class Sizes:
    """How much each step does.

    Args:
        networks: cell, hidden size and batch size of those that train alone.
        arithmetics: precision, and whether products of float32 are in TF32; the first where one is enough.
        epochs: of whole trials.
        counts: trials in a pack, the first where one is enough.
        wide: hidden sizes of packs, the first where one is enough.
        few: trials of a whole command, one after another.
        many: trials of a whole command in packs.
        killed: the budget of trials that are killed.
        data: overrides of every trial.
    """

    cells: tuple[str, ...]
    precisions: tuple[str, ...]
    arithmetics: tuple[tuple[str, bool], ...]
    seeds: int
    epochs: int
    networks: tuple[tuple[str, int, int], ...]
    repeats: int
    counts: tuple[int, ...]
    wide: tuple[int, ...]
    few: int
    many: int
    killed: tuple[str, ...]
    data: tuple[str, ...]


FULL = Sizes(
    cells=("lstm", "gru", "simple_rnn"),
    precisions=("32-true", "bf16-mixed", "16-mixed"),
    arithmetics=(("bf16-mixed", False), ("32-true", True), ("32-true", False)),
    seeds=2,
    epochs=5,
    networks=(("simple_rnn", 50, 50), ("lstm", 128, 128), ("gru", 128, 128)),
    repeats=3,
    counts=(64, 256, 16, 1),
    wide=(128, 50),
    few=6,
    many=64,
    killed=("trainer.max_steps=1500", "trainer.eval_every=300", "trainer.checkpoint_every=100"),
    data=("data.batch_size=128",),
)
TOY = Sizes(
    cells=("lstm", "gru", "simple_rnn"),
    precisions=("32-true", "bf16-mixed"),
    arithmetics=(("32-true", False),),
    seeds=2,
    epochs=1,
    networks=(("simple_rnn", 4, 16),),
    repeats=1,
    counts=(2, 3, 1),
    wide=(4,),
    few=1,
    many=2,
    killed=("trainer.max_steps=400", "trainer.eval_every=50", "trainer.checkpoint_every=10"),
    data=("data.batch_size=10", "data.train_size=40", "data.val_size=20", "model.hidden_size=4"),
)


@dataclass(frozen=True)
class Check:
    """Where and on what the check runs.

    Args:
        device: `gpu` or `cpu`.
        data: the folder of MNIST's four IDX files; None: the digits that need no download.
        out: the folder of all that the check writes.
    """

    device: str
    data: Path | None
    out: Path

    @property
    def sizes(self) -> Sizes:
        return FULL if self.device == "gpu" else TOY

    @property
    def kind(self) -> str:
        """The device in torch's words."""
        return "cuda" if self.device == "gpu" else "cpu"

    @property
    def overrides(self) -> tuple[str, ...]:
        """Of every trial: its data and device."""
        data = ("data=mnist_5k",) if self.data is None else ("data=mnist", f"data.root={self.data}")
        return (*data, *self.sizes.data, f"trainer.accelerator={self.device}", "registry=false")

    @property
    def routes(self) -> tuple[str, ...]:
        """Those that train packs here."""
        from recurrent_cells.config.schema import KERNELS

        return ("torch", *(name for name in KERNELS if name == "triton" and self.device == "gpu"))
