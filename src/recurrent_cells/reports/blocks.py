"""What is compared: the configurations on one data block, never across, and all blocks together by their means."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from recurrent_cells.config.schema import block_keys
from recurrent_cells.reports.configurations import (
    MOST_KEYS_IN_A_LABEL,
    PROBLEM,
    Configuration,
    by,
    contenders,
    differing,
    short_label,
)
from recurrent_cells.reports.metric import Metric
from recurrent_cells.reports.outcomes import read_outcomes
from recurrent_cells.reports.questions import competing, pairs_of
from recurrent_cells.statistics.comparisons import Comparison, compare_paired
from recurrent_cells.statistics.crossed import on_other_examples
from recurrent_cells.statistics.looks import Decisions
from recurrent_cells.sweeps.results import SweepData
from recurrent_cells.tracking.artifacts import Question
from recurrent_cells.tracking.store import Store

MOST_COMPARED = 40


@dataclass(frozen=True)
class Competition:
    """What competes on one data block.

    Args:
        name: of the block, in words; empty if it is the only one.
        everything: all configurations; `compared` those the verdict is about, in the order given.
        pairs: of these, with intervals for other seeds.
        decisions: at which look what was decided; None for a fixed plan.
        on_other_examples: the same pairs with intervals for other seeds and other test examples, where each
            trial has left its outcome on each example.
    """

    name: str
    everything: Sequence[Configuration]
    compared: Sequence[Configuration]
    pairs: Sequence[Comparison]
    on_other_examples: Mapping[frozenset[str], Comparison]
    decisions: Decisions | None = None

    def other_examples(self, pair: Comparison) -> Comparison | None:
        return self.on_other_examples.get(frozenset((pair.better, pair.worse)))

    @property
    def tested(self) -> list[Comparison]:
        """The pairs of two seeds or more."""
        return [pair for pair in self.pairs if min(pair.counts) > 1]

    def without_block_names(self) -> "Competition":
        """The competition with labels that leave the block out, where they still tell configurations apart."""
        varied = [key for key in differing([dict(one.identity) for one in self.everything]) if key in self._said]
        short = {one.label: short_label(dict(one.identity), varied) for one in self.everything}
        if len(varied) > MOST_KEYS_IN_A_LABEL or len(set(short.values())) < len(short):
            return self
        renamed = [replace(pair, better=short[pair.better], worse=short[pair.worse]) for pair in self.pairs]
        others = {
            frozenset(short[label] for label in pair): replace(it, better=short[it.better], worse=short[it.worse])
            for pair, it in self.on_other_examples.items()
        }
        compared = [replace(one, label=short[one.label]) for one in self.compared]
        return replace(self, compared=compared, pairs=renamed, on_other_examples=others)

    @property
    def _said(self) -> set[str]:
        return {key for one in self.everything for key in one.said}

    @property
    def left_out(self) -> int:
        """How many competed but are not compared, being worse by validation."""
        return max(0, len(contenders(self.everything)) - len(self.compared))


def competitions(
    store: Store,
    everything: Sequence[Configuration],
    metric: Metric,
    question: Question | None,
    data: SweepData,
) -> list[Competition]:
    """The competition on each data block."""
    blocks = by(everything, lambda one: one.block)
    names = block_names(blocks)
    return [_competition(store, names[block], found, metric, question, data) for block, found in blocks.items()]


def _competition(
    store: Store,
    name: str,
    everything: Sequence[Configuration],
    metric: Metric,
    question: Question | None,
    data: SweepData,
) -> Competition:
    compared = competing(everything, question)
    if len(compared) > MOST_COMPARED:
        few = {one.label for one in sorted(compared, key=lambda one: -one.rank)[:MOST_COMPARED]}
        compared = [one for one in compared if one.label in few]
    pairs, decisions = pairs_of(compared, metric, question, data)
    outcomes = read_outcomes(store, compared, metric)
    wider = on_other_examples(pairs, outcomes)
    on_others = {frozenset((pair.better, pair.worse)): pair for pair in wider}
    return Competition(name, everything, compared, pairs, on_others, decisions)


def block_names(blocks: Mapping[str, Sequence[Configuration]]) -> dict[str, str]:
    """What tells the blocks apart: `fashion_mnist`, `split_seed 3`, or their digests."""
    if len(blocks) == 1:
        return dict.fromkeys(blocks, "")
    problems = {block: found[0].settings.get(PROBLEM, "") for block, found in blocks.items()}
    if all(problems.values()) and len(set(problems.values())) == len(problems):
        return problems
    params = {block: found[0].trials[0].record.params for block, found in blocks.items()}
    keys = [key for key in block_keys() if len({one.get(key) for one in params.values()}) > 1]
    if len({one.get("data.name") for one in params.values()}) == len(params):
        keys = ["data.name"]
    names = {}
    for block, one in params.items():
        parts = [one.get(key, "?") if key == "data.name" else f"{key[5:]} {one.get(key, '?')}" for key in keys]
        names[block] = ", ".join(parts)
    return names if len(set(names.values())) == len(names) else {block: block for block in blocks}


def across(everything: Sequence[Configuration], metric: Metric) -> tuple[int, list[Comparison]]:
    """How many data blocks there are, and each pair by its differences on those that all compared share.

    Of each cell that configuration is compared whose mean validation value over the blocks is the best; of one cell
    all of them.
    """
    count = len(by(everything, lambda one: one.block))
    same = [found for found in by(everything, lambda one: one.identity).values() if len(found) == count]
    by_cell: dict[str, list[list[Configuration]]] = {}
    for found in same:
        by_cell.setdefault(found[0].cell, []).append(found)
    if len(by_cell) > 1:
        same = [max(group, key=lambda found: sum(one.rank for one in found)) for group in by_cell.values()]
    varied = differing([dict(found[0].identity) for found in same])
    values = {
        short_label(dict(found[0].identity), varied): {
            one.block: one.mean(metric) for one in found if one.values(metric)
        }
        for found in same[:MOST_COMPARED]
    }
    return count, compare_paired(values, metric.higher_is_better) if len(values) > 1 else []
