"""What is concluded, in sentences that a careful reader can rely on."""

import math
from collections import Counter
from collections.abc import Sequence

from recurrent_cells.reports.blocks import Competition
from recurrent_cells.reports.configurations import Configuration
from recurrent_cells.reports.document import Block, Heading, Text
from recurrent_cells.reports.metric import Metric
from recurrent_cells.statistics.comparisons import Comparison, estimate, seeds_needed
from recurrent_cells.statistics.looks import Decisions
from recurrent_cells.sweeps.results import SweepData

MOST_PAIRS = 6
MOST_NAMED = 12
FEWEST_BLOCKS, MOST_BLOCKS = 3, 3
ASSUMED = (
    "It allows for seeds that scatter unequally and somewhat askew, not for a configuration that mostly does well and "
    "now and then fails."
)


def verdict_section(
    data: SweepData,
    found: Sequence[Competition],
    across: tuple[int, Sequence[Comparison]],
    metric: Metric,
    margin: float | None,
) -> list[Block]:
    """The verdict on all data blocks, those on each, and how they were reached."""
    blocks: list[Block] = [Heading("Verdict")]
    if len(found) == 1:
        blocks += [*_on_one_block(found[0], metric, margin), *_how(found, metric, margin)]
    else:
        on_all = _on_all_blocks(*across, metric, margin)
        on_each = _on_each_block([it.without_block_names() for it in found], metric, margin)
        blocks += [*on_all, *on_each] if any(text.strong for text in on_all) else [*on_each, *on_all]
    if data.unfinished:
        states = Counter(trial.state for trial in data.unfinished)
        counts = ", ".join(f"{count} {state}" for state, count in states.items())
        words = f"{len(data.unfinished)} of {len(data.trials)} trials did not finish ({counts})"
        blocks.append(Text(f"{words}: this is without them.", strong=True))
    return blocks


def _on_each_block(found: Sequence[Competition], metric: Metric, margin: float | None) -> list[Text]:
    """The verdict on each block; of many blocks each is a paragraph that a terminal does not show."""
    if len(found) > MOST_BLOCKS:
        blocks = []
        for one in found:
            sentences = [it.text for it in _on_one_block(one, metric, margin)]
            blocks.append(Text(" ".join([f"On {one.name}:", *sentences])))
    else:
        blocks = [it for one in found for it in (_title(f"On {one.name}:"), *_on_one_block(one, metric, margin))]
    return [*blocks, *_how(found, metric, margin)]


def _title(words: str) -> Text:
    return Text(words, strong=True)


def _on_one_block(found: Competition, metric: Metric, margin: float | None) -> list[Text]:
    compared, pairs = found.compared, found.pairs
    if len(compared) == 1:
        return [Text(f"There is only {compared[0].label}: nothing to compare it with.", strong=True)]
    if not found.tested:
        words = "There are no two configurations of two seeds or more: nothing can be concluded about which is better."
        return [Text(f"{words} seed=0,1,2,3,4 would show the spread.", strong=True)]
    blocks = []
    if len(pairs) <= MOST_PAIRS:
        rank = {one.label: metric.rank(one.mean(metric)) for one in compared}
        ranked = sorted(pairs, key=lambda pair: (-rank[pair.better], -rank[pair.worse]))
        blocks += [Text(verdict(pair, metric, found.other_examples(pair), margin), strong=True) for pair in ranked]
    else:
        blocks.append(Text(against_the_best(compared, pairs, metric), strong=True))
    if unequal := _unequal_tuning(found):
        blocks.append(Text(unequal, strong=True))
    return blocks


def verdict(pair: Comparison, metric: Metric, on_other_examples: Comparison | None, margin: float | None) -> str:
    """The conclusion on one pair, and for what it holds."""
    better, worse = pair.better, pair.worse
    if math.isnan(pair.half):
        return _without_interval(pair, metric)
    if pair.is_separated:
        sentence = f"{better} beats {worse} by {metric.amount(pair.difference, pair.half)}"
        if on_other_examples is None or math.isnan(on_other_examples.half):
            return f"{sentence}."
        wider = metric.amount(pair.difference, on_other_examples.half).partition(" ± ")[2]
        if on_other_examples.is_separated:
            return f"{sentence}, on other test examples too (± {wider})."
        return f"{sentence} on these test examples; on others that is open (± {wider})."
    most = metric.difference(pair.most)
    if margin is not None and pair.is_within(margin):
        return f"{better} and {worse} are equal within {metric.difference(margin)}: they differ by at most {most}."
    return f"{better} and {worse} are not told apart: they differ by at most {most}."


def _without_interval(pair: Comparison, metric: Metric) -> str:
    better, worse = pair.better, pair.worse
    if min(pair.counts) == 0:
        return f"{better} or {worse} has no value: nothing can be concluded."
    if min(pair.counts) == 1:
        return f"One seed cannot tell {better} from {worse}: nothing can be concluded."
    amount = metric.difference(pair.difference)
    by_how_much = f"differ by {amount}" if pair.difference > 0 else "are equal"
    return f"{better} and {worse} {by_how_much} on every seed, without any spread to judge that by."


def against_the_best(compared: Sequence[Configuration], pairs: Sequence[Comparison], metric: Metric) -> str:
    """Of many configurations the best, those that are worse, and those that may be as good."""
    best = max(compared, key=lambda one: metric.rank(one.mean(metric)))
    with_best = [pair for pair in pairs if best.label in (pair.better, pair.worse)]
    worse = [pair for pair in with_best if pair.is_separated]
    open_ = [pair.worse if pair.worse != best.label else pair.better for pair in with_best if not pair.is_separated]
    worse.sort(key=lambda pair: pair.difference)
    amounts = [f"{pair.worse} (by {metric.amount(pair.difference, pair.half)})" for pair in worse]
    sentence = f"Of {len(compared)} configurations {best.label} has the best mean."
    if worse:
        sentence += f" Worse than it: {_listed(amounts)}."
    return f"{sentence} Not told apart from it: {_listed(open_)}." if open_ else sentence


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return ", ".join(names[:MOST_NAMED]) + more


def _unequal_tuning(found: Competition) -> str:
    counts = Counter(one.cell for one in found.everything)
    if len(set(counts.values())) < 2 or len(found.compared) == len(found.everything):
        return ""
    chosen = ", ".join(f"{one.label} of {counts[one.cell]}" for one in found.compared)
    return (
        f"Tuning was unequal, which favours the cell with more: the best by validation of so many settings ({chosen})."
    )


def _how(found: Sequence[Competition], metric: Metric, margin: float | None) -> list[Text]:
    """How the verdicts on each block were reached: a paragraph where that is the same on all, else one for each."""
    words = {one.name: _how_on_one(one, metric, margin) for one in found if one.tested}
    if len(set(words.values())) == 1:
        return [Text(next(iter(words.values())))]
    return [Text(f"On {name}: {said}") for name, said in words.items()]


def _how_on_one(found: Competition, metric: Metric, margin: float | None) -> str:
    counts = sorted({count for pair in found.tested for count in pair.counts})
    seeds = f"{counts[0]} to {counts[-1]}" if len(counts) > 1 else str(counts[0])
    together = f", for all {len(found.tested)} pairs at once" if len(found.tested) > 1 else ""
    sentences = [
        f"By {metric.name} over {seeds} seeds of each; ± is half of a 95 % interval{together}: "
        f"what other seeds would change. {ASSUMED}"
    ]
    if len(found.everything) > len(found.compared):
        of_each = "the best" if len({one.cell for one in found.compared}) == 1 else "of each cell the best"
        sentences.append(
            f"{len(found.everything)} configurations were tried; compared are {of_each} by mean "
            f"{found.compared[0].selection.name} of those with the most seeds."
        )
    if found.decisions is not None:
        sentences.append(_looks(found.decisions))
    needed = _needed(found, metric, margin) if found.decisions is None else None
    if margin is not None and needed:
        words = (
            f"With these spreads a difference of {metric.difference(margin)} would take about {needed} seeds of each."
        )
        sentences.append(words)
    return " ".join(sentences)


def _looks(decisions: Decisions) -> str:
    """At what numbers of seeds was looked, and when the next look is."""
    taken = ", ".join(map(str, decisions.looks)) or "no"
    words = (
        f"Seeds are added until each pair is decided: looks were taken at {taken} seeds, each interval is of the look "
        "that decided its pair, and of all such sweeps at most 5 % say anything false at any look."
    )
    return words if decisions.next_look is None else f"{words} The next look is at {decisions.next_look} seeds."


def _needed(found: Competition, metric: Metric, margin: float | None) -> int | None:
    """The seeds with which every pair that differs by the margin would be separated four times out of five."""
    sds = [estimate(list(one.values(metric).values()) or [math.nan]).sd for one in found.compared]
    largest = sorted(sd for sd in sds if sd > 0)[-2:]
    if margin is None or not largest:
        return None
    return seeds_needed(margin, largest[-1], largest[0], groups=len(found.compared))


def _on_all_blocks(count: int, pairs: Sequence[Comparison], metric: Metric, margin: float | None) -> list[Text]:
    if not pairs:
        return []
    shared = pairs[0].counts[0]
    if shared < FEWEST_BLOCKS:
        return [Text(f"{shared} data blocks that all share are too few to say what other data would show.")]
    how = (
        f"By the mean {metric.name} on each of {shared} data blocks that all share, paired by block; "
        "± is half of a 95 % interval: what other blocks of the kind would change."
    )
    sentences = [Text(verdict(pair, metric, None, margin), strong=True) for pair in pairs]
    return [_title(f"Over all {count} data blocks:"), *sentences, Text(how)]
