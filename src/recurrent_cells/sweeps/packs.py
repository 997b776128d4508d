"""Which trials of a sweep can train as one program."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from recurrent_cells.config.schema import Config, OptimizerConfig
from recurrent_cells.errors import UserError
from recurrent_cells.trial.fingerprint import fingerprint

if TYPE_CHECKING:
    from recurrent_cells.sweeps.plan import Trial

AUTO = "auto"
SMALLEST = 2  # trials of a pack


def most_of(max_pack: int | str) -> int | None:
    """The most trials of a pack; None, for `auto`, is as many as the GPU's memory holds.

    Raises:
        UserError: if `hydra.launcher.max_pack` is neither.
    """
    if max_pack == AUTO:
        return None
    if not (str(max_pack).isdigit() and int(max_pack) >= 1):
        raise UserError(
            f"hydra.launcher.max_pack={max_pack}: allowed is an integer of at least 1, or auto "
            "(as the GPU's memory allows; without a GPU trials run in processes of their own)"
        )
    return int(max_pack)


def packed(trials: "Sequence[Trial]", slots: int) -> "list[Sequence[Trial]]":
    """Packs of trials of one shape, one for each slot where there are trials enough, then the trials left alone.

    Within a pack may differ: the seed, every number of the optimiser, dropout, initial weights, the order of the
    data, when to stop early and what is tested.
    """
    groups: dict[str, list[Trial]] = defaultdict(list)
    for trial in trials:
        groups[_program(trial.config) or trial.fingerprint].append(trial)
    packs: list[Sequence[Trial]] = []
    for group in groups.values():
        size = -(-len(group) // max(1, min(slots, len(group) // SMALLEST)))
        packs += (group[start : start + size] for start in range(0, len(group), size))
    return sorted(packs, key=lambda pack: len(pack) < SMALLEST)


def _program(config: Config) -> str | None:
    """What trials share that can train as one program; None for a trial that trains alone."""
    from recurrent_cells.data.splits import load_splits

    trainer = config.trainer
    if trainer.precision == "16-mixed" or trainer.profile or trainer.detect_anomaly:  # a scaler, a trace of one's own
        return None
    if trainer.max_seconds is not None:  # the time of a pack is that of all
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
