"""Whole sweeps in packs and one by one: how long they take, and how accurate their trials are."""

import statistics
from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from scipy import stats

from benchmarks.commands import timed_sweep
from benchmarks.packs.programs import BATCH_SIZE
from recurrent_cells.statistics.comparisons import mean_interval

CELLS = ("simple_rnn", "lstm", "gru")


def commands(epochs: int, precision: str, count: int) -> Iterator[str]:
    """Trials an hour of sweeps: in a program, one after another, several processes at once."""
    packed = ["hydra/launcher=packed", *([] if torch.cuda.is_available() else [f"hydra.launcher.max_pack={count}"])]
    few = min(count, 16)
    yield f"Trials an hour, {epochs} epochs, {precision}, hidden 128, batch {BATCH_SIZE}; in packs of the whole"
    yield "command, of the others from the start of the first trial to the end of the last:"
    yield ""
    yield f"| cell | {count} in packs | {few} one after another | {few} in 8 processes at once | packs ÷ one by one |"
    yield "|---|---|---|---|---|"
    for cell in CELLS:
        rates = []
        for number, launcher in (
            (count, packed),
            (few, ["hydra.launcher.slots=1"]),
            (few, ["hydra.launcher.slots=8"]),
        ):
            ran = timed_sweep(
                *sweep_of(cell, number, epochs, precision), f"data.batch_size={BATCH_SIZE}", "registry=false", *launcher
            )
            rates.append(3600 * number / (ran.whole if launcher is packed else ran.training))
        yield f"| {cell} | {' | '.join(f'{rate:.0f}' for rate in rates)} | {rates[0] / rates[1]:.1f} |"
    yield ""


def sweep_of(cell: str, count: int, epochs: int, precision: str) -> list[str]:
    """The arguments of a sweep of trials that differ in their seeds alone."""
    return [
        *(f"model={cell}", f"seed=range(0,{count})", f"trainer.max_epochs={epochs}", f"trainer.precision={precision}"),
        "sweep.report=false",
    ]


def accuracies(launcher: Sequence[str], seeds: int, epochs: int) -> dict[str, dict[int, float]]:
    """Test accuracies by cell and seed of a sweep on the default data, with a store of its own."""
    arguments = ["model=simple_rnn,lstm,gru", f"seed=range(0,{seeds})", f"trainer.max_epochs={epochs}"]
    quiet = ["trainer=cpu", "sweep.report=false", "registry=false"]
    found: dict[str, dict[int, float]] = defaultdict(dict)
    for record in timed_sweep(*arguments, *quiet, *launcher).records:
        found[record.tags["cell"]][int(record.tags["seed"])] = record.metrics["test/acc"]
    return found


def accuracy(seeds: int, epochs: int) -> Iterator[str]:
    """Whether trials of a pack end with other accuracies than the same trained one by one."""
    packed = accuracies(["hydra/launcher=packed", f"hydra.launcher.max_pack={seeds}"], seeds, epochs)
    alone = accuracies([], seeds, epochs)
    yield f"Test accuracy in %, {seeds} seeds, default data, {epochs} epochs, float32 on a CPU:"
    yield ""
    yield "| cell | in a pack | alone | difference in points (95 % interval) | p | seeds that differ |"
    yield "|---|---|---|---|---|---|"
    for cell in CELLS:
        both = [(packed[cell][seed], alone[cell][seed]) for seed in range(seeds)]
        differences = np.array([one - other for one, other in both])
        mean, half = (float(100 * value) for value in mean_interval(differences))
        p = float(stats.ttest_1samp(differences, 0).pvalue) if differences.any() else 1.0
        means = (100 * statistics.mean(values) for values in zip(*both, strict=True))
        differing = int((differences != 0).sum())
        columns = [*(f"{it:.2f}" for it in means), f"{mean:.2f} ± {half:.2f}", f"{p:.2f}", str(differing)]
        yield f"| {cell} | {' | '.join(columns)} |"
    yield ""
