"""Where examples come from; a data source is a file here."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from recurrent_cells.config.schema import DataConfig
from recurrent_cells.tables import SOURCES, Table

# In the place of a class, of a step at which none is asked for.
NOT_ASKED = -1


@dataclass(frozen=True)
class Part:
    """Examples from one file or folder.

    Args:
        values: images (N, H, W) as unsigned bytes, or sequences (N, T, F) as float32, NaN where a number is missing.
        targets: classes (N,) as integers from 0, or (N, T) of each step, `NOT_ASKED` where there is none; or numbers
            (N,) or (N, O) as float32.
        place: where the targets come from, for messages.
        lengths: valid steps of each sequence (N,), 1 to T; None where all have T.
        class_names: of classes 0, 1, …; None where they are called by their numbers.
        feature_names: of features 0, 1, …; None where they have none.
        groups: what each example belongs to (N,), where those of a group must not be torn apart by a split.
    """

    values: NDArray[Any]
    targets: NDArray[Any]
    place: str
    lengths: NDArray[np.int64] | None = None
    class_names: tuple[str, ...] | None = None
    feature_names: tuple[str, ...] | None = None
    groups: NDArray[Any] | None = None

    def take(self, places: NDArray[np.int64]) -> "Part":
        """The examples at these places."""
        arrays = {name: getattr(self, name) for name in ("values", "targets", "lengths", "groups")}
        return replace(self, **{name: array[places] for name, array in arrays.items() if array is not None})

    @property
    def has_steps_asked(self) -> bool:
        """Whether targets are classes of each step."""
        return self.targets.ndim == 2 and self.targets.dtype.kind in "iu"

    def trimmed(self, num_steps: int) -> "Part":
        """The examples without the steps after the first `num_steps`."""
        targets = self.targets[:, :num_steps] if self.has_steps_asked else self.targets
        return replace(self, values=self.values[:, :num_steps], targets=targets)


class Source(ABC):
    """A named origin of examples; `data=NAME` chooses it."""

    table: ClassVar[Table] = SOURCES
    name: ClassVar[str]
    # whether `data.root` may name what is read, and whether it must; how it is given
    reads_root: ClassVar[bool] = False
    needs_root: ClassVar[bool] = False
    root_form: ClassVar[str] = "FOLDER"
    # other keys of the config that decide what is loaded, and those among them that must be given
    keys: ClassVar[tuple[str, ...]] = ()
    needs: ClassVar[tuple[str, ...]] = ()
    # what an answer scores that has learnt nothing but how often each target is, by the names of metrics
    naive: ClassVar[Mapping[str, float]] = {}

    @abstractmethod
    def load(self, data: DataConfig) -> list[Part]:
        """The training part, and a test part if there is one; of the config `root`, `download` and `keys` are given.

        Raises:
            UserError: if the examples cannot be read.
        """
