"""Where examples come from; a data source is a file here."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from recurrent_cells.config.schema import DataConfig
from recurrent_cells.tables import SOURCES, Table


@dataclass(frozen=True)
class Part:
    """Examples from one file or folder.

    Args:
        values: images (N, H, W) as unsigned bytes, or sequences (N, T, F) as float32.
        targets: classes (N,) as integers from 0, or numbers (N,) as float32.
        place: where the targets come from, for messages.
        lengths: valid steps of each sequence (N,), 1 to T; None where all have T.
        class_names: of classes 0, 1, …; None where they are called by their numbers.
    """

    values: NDArray[Any]
    targets: NDArray[Any]
    place: str
    lengths: NDArray[np.int64] | None = None
    class_names: tuple[str, ...] | None = None

    def take(self, places: NDArray[np.int64]) -> "Part":
        """The examples at these places."""
        lengths = None if self.lengths is None else self.lengths[places]
        return replace(self, values=self.values[places], targets=self.targets[places], lengths=lengths)


class Source(ABC):
    """A named origin of examples; `data=NAME` chooses it."""

    table: ClassVar[Table] = SOURCES
    name: ClassVar[str]
    # whether `data.root` may name the folder that is read, and whether it must
    reads_root: ClassVar[bool] = False
    needs_root: ClassVar[bool] = False

    @abstractmethod
    def load(self, data: DataConfig) -> list[Part]:
        """The training part, and a test part if there is one; of the config `root` and `download` are given.

        Raises:
            UserError: if the examples cannot be read.
        """
