"""A metric as a report speaks of it: which way is better, in what unit."""

import math
from dataclasses import dataclass

LOWER_IS_BETTER = ("loss", "error", "seconds")


@dataclass(frozen=True)
class Metric:
    """Accuracies are shown in per cent and their differences in points, all else as it is."""

    name: str

    @property
    def is_accuracy(self) -> bool:
        return self.name.endswith("acc")

    @property
    def higher_is_better(self) -> bool:
        return not any(word in self.name for word in LOWER_IS_BETTER)

    @property
    def scale(self) -> float:
        return 100.0 if self.is_accuracy else 1.0

    @property
    def label(self) -> str:
        return f"{self.name} (%)" if self.is_accuracy else self.name

    def value(self, value: float) -> str:
        """A value as a table shows it: 98.13, 0.0712; a dash for NaN."""
        if math.isnan(value):
            return "–"
        return f"{value * self.scale:.2f}" if self.is_accuracy else f"{value:.4g}"

    def amount(self, difference: float, half: float) -> str:
        """A difference with its interval: `1.9 ± 0.3 points`."""
        digits = 1 if self.is_accuracy and half * self.scale >= 0.25 else 2
        if not self.is_accuracy:
            return f"{difference:.3g} ± {half:.2g}"
        return f"{difference * self.scale:.{digits}f} ± {half * self.scale:.{digits}f} points"
