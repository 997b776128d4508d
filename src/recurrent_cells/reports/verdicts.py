"""What is concluded of each pair of configurations, in sentences that a careful reader can rely on."""

import math
from collections.abc import Sequence

from recurrent_cells.reports.configurations import Configuration
from recurrent_cells.reports.document import Block, Heading, Text
from recurrent_cells.reports.metric import Metric
from recurrent_cells.statistics.comparisons import MOST_SEEDS, Comparison

MOST_VERDICTS = 6


def verdict_section(
    compared: Sequence[Configuration], everything: Sequence[Configuration], found: Sequence[Comparison], metric: Metric
) -> list[Block]:
    """The verdict on each pair of the compared configurations, the best ones first, and how it was reached."""
    blocks: list[Block] = [Heading("Verdict")]
    if len(compared) == 1:
        return [*blocks, Text(f"There is only {compared[0].label}: nothing to compare it with.", strong=True)]
    if len(everything) > len(compared):
        words = f"{len(everything)} configurations were tried; for each cell speaks the one with its best mean"
        blocks.append(Text(f"{words} {compared[0].selection.name}."))
    if all(len(comparison.seeds) < 2 for comparison in found):
        words = "No two trials share more than one seed: nothing can be concluded about which is better."
        return [*blocks, Text(f"{words} seed=0,1,2,3,4 would show the spread.", strong=True)]
    rank = {one.label: metric.rank(one.mean(metric)) for one in compared}
    ranked = sorted(found, key=lambda comparison: (-rank[comparison.better], -rank[comparison.worse]))
    blocks += [Text(verdict(comparison, metric), strong=True) for comparison in ranked[:MOST_VERDICTS]]
    if len(ranked) > MOST_VERDICTS:
        separated = sum(comparison.is_separated for comparison in found)
        blocks.append(Text(f"Of {len(found)} pairs {separated} are separated; all are in the table below."))
    pairs = "1 pair" if len(found) == 1 else f"{len(found)} pairs"
    how = f"By {metric.name}, paired by seed; ± is half a 95 % interval (Student's t), p is Holm's over {pairs}."
    return [*blocks, Text(how)]


def verdict(comparison: Comparison, metric: Metric) -> str:
    """The conclusion on one pair."""
    better, worse, count = comparison.better, comparison.worse, len(comparison.seeds)
    if count == 0:
        return f"{better} and {worse} share no seed: nothing can be concluded."
    if count == 1:
        return f"One seed cannot tell {better} from {worse}: nothing can be concluded."
    amount = metric.amount(comparison.difference, comparison.half)
    if comparison.is_separated:
        return f"{better} beats {worse} by {amount} ({_p(comparison.p_corrected)}, {count} seeds)."
    sentence = f"{count} seeds cannot separate {better} from {worse}"
    if comparison.difference == 0:
        return f"{sentence}: their means are equal."
    if math.isnan(comparison.effect):
        return f"{sentence}: they differ by {amount} on every seed, without any spread to judge that by."
    sentence += f" ({amount}, {_p(comparison.p_corrected)})"
    if comparison.needed is None:
        return f"{sentence}: more than {MOST_SEEDS:,} would be needed."
    return f"{sentence}: about {comparison.needed} would be needed."


def _p(p: float) -> str:
    return "p < 0.001" if p < 0.001 else f"p = {p:.2g}" if p < 0.995 else "p = 1"
