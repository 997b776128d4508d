"""By what answers are judged; a metric is a file here."""

from abc import ABC, abstractmethod
from typing import ClassVar

from torch import Tensor

from recurrent_cells.tables import METRICS, Table


class Metric(ABC):
    """A value for each answer, whose mean is the metric, as in `val/NAME`."""

    table: ClassVar[Table] = METRICS
    name: ClassVar[str]
    higher_is_better: ClassVar[bool] = True
    # whether the mean is a share, shown in per cent, its differences in points
    is_share: ClassVar[bool] = False

    @abstractmethod
    def __call__(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Outputs (…, C) and targets (…) → (…)."""
