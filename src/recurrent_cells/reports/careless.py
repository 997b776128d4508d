"""What comparisons with less care would have said, beside the verdict."""

from collections.abc import Mapping, Sequence

from recurrent_cells.reports.blocks import Competition
from recurrent_cells.reports.configurations import Configuration, settings_of
from recurrent_cells.reports.document import Block, Heading, Table, Text
from recurrent_cells.reports.metric import Metric
from recurrent_cells.statistics.comparisons import Comparison
from recurrent_cells.tracking.queries import TrialRecord
from recurrent_cells.trial.fingerprint import is_within

WORDS = (
    "Each pair again: by the verdict; by single seeds, which agree with the order of the means or do not; and by the "
    "best trial of each one's tuning on the test data, as if these could both choose and judge."
)


def careless_section(
    found: Sequence[Competition], tuning: Sequence[TrialRecord], keys: Sequence[str], metric: Metric
) -> list[Block]:
    """The verdicts beside those of one seed and of the best on test data; nothing where nothing was tuned.

    Args:
        tuning: the trials that chose among settings.
        keys: of the settings that they chose.
    """
    rows = [
        (f"{competition.name}: " * (len(found) > 1) + f"{pair.better} over {pair.worse}", *cells)
        for competition in (it.without_block_names() for it in found)
        for pair in competition.pairs
        if (cells := _row(competition, pair, tuning, keys, metric))
    ]
    if not rows:
        return []
    columns = zip(("", "verdict", "single seeds that agree", "best on test"), zip(*rows, strict=True), strict=True)
    table = Table("careless", "Three ways to judge the same trials", dict(columns))
    return [Heading("What less care would have said"), Text(WORDS), table]


def _row(
    found: Competition, pair: Comparison, tuning: Sequence[TrialRecord], keys: Sequence[str], metric: Metric
) -> tuple[str, str, str] | None:
    """The verdict on a pair, how many single seeds agree, and what the best trials on test data say."""
    one, other = (next(it for it in found.compared if it.label == label) for label in (pair.better, pair.worse))
    best = [_best_on_test(it, tuning, keys, metric) for it in (one, other)]
    if None in best:
        return None
    values = [it.values(metric) for it in (one, other)]
    shared = sorted(values[0].keys() & values[1].keys())
    agree = sum(metric.rank(values[0][seed]) > metric.rank(values[1][seed]) for seed in shared)
    verdict = metric.amount(pair.difference, pair.half) if pair.is_separated else "not told apart"
    ahead = (best[0] or 0.0) - (best[1] or 0.0)
    return verdict, f"{agree} of {len(shared)}", f"{ahead * metric.scale:+.2f}"


def _best_on_test(
    one: Configuration, tuning: Sequence[TrialRecord], keys: Sequence[str], metric: Metric
) -> float | None:
    settings = _without(settings_of(one.trials[0].record), keys)
    values = [
        it.metrics[metric.name]
        for it in tuning
        if metric.name in it.metrics and _without(settings_of(it), keys) == settings
    ]
    return max(values, key=metric.rank, default=None)


def _without(settings: Mapping[str, str], keys: Sequence[str]) -> dict[str, str]:
    return {key: value for key, value in settings.items() if not is_within(key, keys)}
