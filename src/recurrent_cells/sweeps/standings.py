"""How the configurations of a sweep stand while it runs, without a verdict."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from math import isfinite, nan
from statistics import fmean

from recurrent_cells.statistics.comparisons import Comparison
from recurrent_cells.statistics.looks import stand
from recurrent_cells.sweeps.looks import configurations
from recurrent_cells.sweeps.plan import Trial
from recurrent_cells.tables import METRICS
from recurrent_cells.tracking.queries import TrialRecord
from recurrent_cells.trial.outcome import Outcome

MOST_COMPARED = 4
LEGEND = "no verdict yet; ± holds for whoever looks after every seed, so it is wider than the verdict's"


class Standings:
    """The differences between configurations, told whenever all have one seed more, but not where a verdict follows.

    A watcher may stop a sweep at any of these lines: their intervals share the 5 % as looks do, so that of all sweeps
    at most 5 % ever show one that misses its true difference. Of many configurations the best of each cell by
    validation are shown; nothing is told on several data blocks.

    Args:
        trials: those planned at the start, the same seeds of each configuration.
        records: what the store knows of them.
    """

    def __init__(self, trials: Sequence[Trial], records: Mapping[str, TrialRecord]) -> None:
        growths = configurations(trials)
        self._labels = {name: growth.label for name, growth in growths.items()}
        self._cells = {name: growth.trials[0].config.model.cell for name, growth in growths.items()}
        self._planned = min(len(growth.trials) for growth in growths.values())
        self._is_one_block = len({trial.block for trial in trials}) == 1
        self._values: dict[str, dict[str, tuple[float, float]]] = {name: {} for name in growths}
        self._told = 1
        for trial in trials:
            record = records.get(trial.fingerprint)
            if record is not None and record.status == "FINISHED":
                self._add(trial, record.rank[1], record.test)
        self._told = max(self._told, self._seeds)

    def _add(self, trial: Trial, rank: float, test: float | None) -> None:
        if test is not None and isfinite(test):
            self._values[trial.configuration][trial.fingerprint] = (rank, test)

    def ended(self, trial: Trial, outcome: Outcome) -> str:
        """Take how a trial ended; a line if all that are compared have a seed more, else empty."""
        metric = str(outcome.result.get("metric", "acc"))
        is_known = metric in METRICS and trial.configuration in self._values
        if outcome.status != "finished" or not (is_known and self._is_one_block):
            return ""
        judge = METRICS[metric]
        validation, test = (outcome.result.get(f"{split}/{metric}", nan) for split in ("val", "test"))
        self._add(trial, validation if judge.higher_is_better else -validation, test)
        seeds, before = self._seeds, self._told
        self._told = max(before, seeds)
        compared = self._compared() if before < seeds != self._planned else []
        if not 2 <= len(compared) <= MOST_COMPARED:
            return ""
        values = {self._labels[name]: [test for _, test in self._values[name].values()] for name in compared}
        _, pairs = stand(values, judge.higher_is_better)
        said = "; ".join(_said(pair, 100 if judge.is_share else 1) for pair in pairs)
        return f"{seeds} seeds of each, test {metric}{' in points' if judge.is_share else ''}: {said} ({LEGEND})"

    def _compared(self) -> list[str]:
        """The configurations whose comparison is shown."""
        if len(self._values) <= MOST_COMPARED:
            return list(self._values)
        by_cell: dict[str, list[str]] = defaultdict(list)
        for name, cell in self._cells.items():
            by_cell[cell].append(name)
        return [max(names, key=self._rank) for names in by_cell.values()] if len(by_cell) > 1 else []

    def _rank(self, name: str) -> float:
        return fmean(rank for rank, _ in self._values[name].values())

    @property
    def _seeds(self) -> int:
        """How many seeds all configurations have."""
        return min(map(len, self._values.values()))


def _said(pair: Comparison, scale: float) -> str:
    """`lstm ahead of gru by 0.4 ± 1.2 (33 % of the way to telling them apart)`."""
    sentence = f"{pair.better} ahead of {pair.worse} by {scale * pair.difference:.3g}"
    if not isfinite(pair.half):
        return sentence
    half, way = scale * pair.half, 100 * pair.difference / pair.half
    return f"{sentence} ± {half:{'.0f' if half >= 100 else '.2g'}} ({way:.0f} % of the way to telling them apart)"
