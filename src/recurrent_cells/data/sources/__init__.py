"""Where examples come from; a data source is a file here."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

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
    """

    values: NDArray[Any]
    targets: NDArray[Any]
    place: str


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
