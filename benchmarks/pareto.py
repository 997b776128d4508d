"""What pruning by two objectives saves, and what it costs: searches over made learning curves.

The rule is that of searches, on a study of Optuna in memory; the curves are made, so that a search takes a second.
"""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, FloatDistribution
from optuna.trial import Trial, TrialState

from recurrent_cells.statistics.comparisons import estimate
from recurrent_cells.sweeps.search.settings import SearchSettings
from recurrent_cells.trial.objectives import is_to_stop, report

TRIALS, EVALUATIONS = 40, 27
SIZES, RATES = (1e3, 1e5), (1e-4, 1e-1)
SEED_NOISE, EVALUATION_NOISE = 0.004, 0.004
SPACE: dict[str, BaseDistribution] = {
    "n_params": FloatDistribution(*SIZES, log=True),
    "lr": FloatDistribution(*RATES, log=True),
}
OBJECTIVES = ("val/acc", "n_params")
ARMS = {
    "none": {"pruner": "none"},
    "asha": {"pruner": "asha"},
    "asha, min_evaluations=1, reduction_factor=3": {"pruner": "asha", "min_evaluations": 1, "reduction_factor": 3},
    "asha, min_evaluations=5, reduction_factor=3": {"pruner": "asha", "min_evaluations": 5, "reduction_factor": 3},
    "asha, min_evaluations=3": {"pruner": "asha", "min_evaluations": 3},
    "asha, min_evaluations=4": {"pruner": "asha", "min_evaluations": 4},
    "median": {"pruner": "median"},
}
SAMPLERS = ("random", "tpe")


@dataclass(frozen=True)
class Searched:
    """A search: the share of the evaluations that it had, and the hypervolume of the networks trained in full."""

    spent: float
    hypervolume: float


def curve(n_params: float, lr: float, noise: np.random.Generator) -> np.ndarray:
    """Validation accuracy by evaluation: larger networks end higher and want lower rates, low rates learn slowly."""
    size, rate = math.log(n_params / SIZES[0]), math.log10(lr)
    best = -2.0 - 0.1 * size
    top = 0.99 - 0.35 * math.exp(-size / 1.5) - 0.12 * abs(rate - best) ** 1.5 + noise.normal(0, SEED_NOISE)
    speed = 0.5 * math.exp(-0.9 * max(best - rate, 0.0)) * noise.uniform(0.7, 1.4)
    learnt = 1 - np.exp(-speed * np.arange(1, EVALUATIONS + 1))
    return np.clip(0.1 + (max(top, 0.1) - 0.1) * learnt + noise.normal(0, EVALUATION_NOISE, EVALUATIONS), 0, 1)


def search(arm: str, sampler: str, repetition: int, noise: int = 0) -> Searched:
    """A search whose proposals and curves follow the repetition; the curves' noise follows `noise` too."""
    settings = vars(SearchSettings(**ARMS[arm], sampler=sampler, objectives=OBJECTIVES).settled(EVALUATIONS))  # type: ignore[arg-type]
    chosen = optuna.samplers.RandomSampler if sampler == "random" else optuna.samplers.TPESampler
    study = optuna.create_study(directions=["maximize", "minimize"], sampler=chosen(seed=repetition))
    spent, trained = 0, []
    for number in range(TRIALS):
        trial = study.ask(SPACE)
        n_params = trial.params["n_params"]
        values = curve(n_params, trial.params["lr"], np.random.default_rng([repetition, number, noise]))
        ended = _ended(settings, trial, values)
        spent += ended
        if ended < EVALUATIONS:
            study.tell(trial, state=TrialState.PRUNED)
        else:
            study.tell(trial, [float(values.max()), n_params])
            trained.append((float(values.max()), n_params))
    return Searched(spent / (TRIALS * EVALUATIONS), hypervolume(trained))


def _ended(settings: dict[str, object], trial: Trial, values: np.ndarray) -> int:
    """The evaluation after which a trial stops."""
    if settings["pruner"] == "none":
        return EVALUATIONS
    for evaluation in range(1, EVALUATIONS):
        report(trial, evaluation, [float(values[evaluation - 1]), trial.params["n_params"]])
        if is_to_stop(settings, trial, evaluation):
            return evaluation
    return EVALUATIONS


def hypervolume(points: Sequence[tuple[float, float]]) -> float:
    """The area that points (accuracy, parameters on a logarithmic scale) dominate, as a share of what there is."""
    area, reached = 0.0, 0.1
    for accuracy, n_params in sorted(points, key=lambda point: point[1]):
        if accuracy > reached:
            area += (accuracy - reached) * math.log(SIZES[1] / n_params)
            reached = accuracy
    return area / (0.9 * math.log(SIZES[1] / SIZES[0]))


def told(repetitions: int) -> list[str]:
    """A section of Markdown."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    lines = [
        "## Pruning by two objectives",
        "",
        f"`python -m benchmarks.steering pruning --repetitions {repetitions}`: searches of {TRIALS} trials of "
        f"{EVALUATIONS} evaluations over made learning curves (`benchmarks/pareto.py`), "
        "`objectives=[val/acc,n_params]`. Hypervolume of the networks trained in full, in per cent of what there is. "
        "Below `none` the difference from it, paired by repetition; seed noise: the root mean square of the difference "
        "between two searches without pruning that differ in the noise of training. ± is half of a 95 % interval.",
        "",
        "| sampler | pruner | evaluations saved | hypervolume |",
        "|---|---|---:|---:|",
    ]
    for sampler in SAMPLERS:
        whole = [search("none", sampler, it) for it in range(repetitions)]
        again = [search("none", sampler, it, noise=1) for it in range(repetitions)]
        differences = [one.hypervolume - other.hypervolume for one, other in zip(whole, again, strict=True)]
        noise = math.sqrt(statistics.fmean(it**2 for it in differences))
        found = estimate([100 * it.hypervolume for it in whole])
        lines.append(f"| {sampler} | none | 0 % | {found.mean:.2f} (seed noise {100 * noise:.2f}) |")
        for arm in list(ARMS)[1:]:
            pruned = [search(arm, sampler, it) for it in range(repetitions)]
            saved = 1 - statistics.fmean(it.spent for it in pruned)
            pairs = zip(pruned, whole, strict=True)
            lost = estimate([100 * (one.hypervolume - other.hypervolume) for one, other in pairs])
            lines.append(f"| {sampler} | {arm} | {saved:.0%} | {lost.mean:+.2f} ± {lost.half:.2f} |")
    return lines
