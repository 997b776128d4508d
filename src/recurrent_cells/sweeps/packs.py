"""Which trials of a sweep can train as one program."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace

from recurrent_cells.config.schema import Config, OptimizerConfig
from recurrent_cells.data.splits import load_splits
from recurrent_cells.sweeps.plan import Trial
from recurrent_cells.trial.fingerprint import fingerprint

SMALLEST = 2  # trials of a pack


def group_by_shape(trials: Sequence[Trial]) -> tuple[list[list[int]], list[int]]:
    """The places of trials that differ in nothing but what a pack keeps for each, and of those that are left alone.

    Within a pack may differ: the seed, every number of the optimiser, dropout, initial weights, the order of the
    data, when to stop early and what is tested.
    """
    groups: dict[str, list[int]] = defaultdict(list)
    for place, trial in enumerate(trials):
        groups[_shape(trial.config) or trial.fingerprint].append(place)
    packs = [group for group in groups.values() if len(group) >= SMALLEST]
    return packs, [group[0] for group in groups.values() if len(group) < SMALLEST]


def parted(pack: Sequence[int], slots: int) -> Iterator[Sequence[int]]:
    """A pack for each slot where there are trials enough."""
    count = max(1, min(slots, len(pack) // SMALLEST))
    size = -(-len(pack) // count)
    return (pack[start : start + size] for start in range(0, len(pack), size))


def _shape(config: Config) -> str | None:
    """What all trials of a pack have in common; None for a trial that trains alone."""
    trainer = config.trainer
    if trainer.precision == "16-mixed" or trainer.profile or trainer.detect_anomaly:  # a scaler, a trace of one's own
        return None
    common = replace(
        config,
        seed=0,
        model=replace(config.model, dropout=0.0, output_dropout=0.0, init="torch", forget_bias=None),
        data=replace(config.data, order="shuffled"),
        optimizer=OptimizerConfig(name=config.optimizer.name),
        trainer=replace(trainer, early_stopping=None, test_with="best"),
    )
    return f"{trainer.accelerator} {fingerprint(common, load_splits(config.data).digest)}"
