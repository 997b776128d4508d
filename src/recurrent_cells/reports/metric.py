"""A metric in a report: which way is better, and its unit."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from recurrent_cells.tables import METRICS
from recurrent_cells.tracking.queries import TrialRecord

# Of logged values that are no metrics of a task: names with these words are better lower, all others higher.
LOWER_IS_BETTER = ("loss", "error", "seconds")
MOST_DIGITS = 8


@dataclass(frozen=True)
class Metric:
    """A logged value; a share is shown in per cent and its differences in points, all else as it is."""

    name: str
    higher_is_better: bool = True
    is_share: bool = False

    @property
    def scale(self) -> float:
        return 100.0 if self.is_share else 1.0

    @property
    def label(self) -> str:
        return f"{self.name} (%)" if self.is_share else self.name

    def rank(self, value: float) -> float:
        """A number that is the higher the better the value is; NaN is the worst."""
        return -math.inf if math.isnan(value) else value if self.higher_is_better else -value

    def value(self, value: float) -> str:
        """A value as a table shows it: 98.13, 0.0712; a dash for NaN."""
        if math.isnan(value):
            return "–"
        return f"{value * self.scale:.2f}" if self.is_share else f"{value:.4g}"

    def half(self, half: float) -> float:
        """Half of an interval as it is shown: no share is further than 100 points from another."""
        return min(half, 1.0) if self.is_share else half

    def amount(self, difference: float, half: float) -> str:
        """A difference with its interval, `1.9 ± 0.3 points`, with digits enough to show whether it excludes 0."""
        if not self.is_share:
            for digits in range(3, MOST_DIGITS):
                texts = f"{difference:.{digits}g}", f"{half:.{digits - 1}g}"
                if (float(texts[0]) > float(texts[1])) == (difference > half):
                    break
            return " ± ".join(texts)
        half = self.half(half)
        values, start = (difference * self.scale, half * self.scale), 1 if half * self.scale >= 0.25 else 2
        for digits in range(start, MOST_DIGITS):
            shown = [round(value, digits) for value in values]
            if (shown[0] > shown[1]) == (difference > half):
                break
        return f"{values[0]:.{digits}f} ± {values[1]:.{digits}f} points"

    def difference(self, value: float) -> str:
        """The most that two can differ by, rounded up so that no less is said: `0.32 points`."""
        if not self.is_share:
            unit = 10 ** (math.floor(math.log10(value)) - 2) if 0 < value < math.inf else 1
            return f"{math.ceil(value / unit - 1e-9) * unit if math.isfinite(value) else value:.3g}"
        digits = 1 if value * self.scale >= 1 else 2
        points = min(
            self.scale, math.ceil(value * self.scale * 10**digits - 1e-9) / 10**digits
        )  # shares differ by no more
        return f"{points:g} point{'' if points == 1 else 's'}"


def describe(name: str, records: Iterable[TrialRecord]) -> Metric:
    """The metric `SPLIT/NAME` or `val/best_NAME`, by what the runs say of it, else by the table of metrics."""
    short = name.rpartition("/")[2].removeprefix("best_")
    for record in records:
        if record.metric == short:
            return Metric(name, record.higher_is_better, record.is_share)
    if short in METRICS:
        return Metric(name, METRICS[short].higher_is_better, METRICS[short].is_share)
    return Metric(name, not any(word in name for word in LOWER_IS_BETTER))


def selection_of(record: TrialRecord) -> Metric:
    """The metric that chose a trial's weights, and chooses among trials."""
    return Metric(f"val/best_{record.metric}", record.higher_is_better, record.is_share)
