"""What a trial of a search has reached, and whether it is to stop.

Optuna's pruners take one objective. Where there are several, a trial is judged by the front on which it stands so far:
asynchronous successive halving by fronts, Schmucker et al. (2021). A front is kept whole: a trial than which none is
better in all objectives goes on. With one objective these rules would be those of Optuna's pruners of the same names.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, Trial, TrialState

from recurrent_cells.statistics.fronts import better

# Attribute of a trial in Optuna, with the number of an evaluation: the value of each objective at it. The values of a
# curve as Optuna keeps it are single ones, and its samplers stumble over them where there are several objectives.
REACHED = "reached."
HALF = 0.5


def reached(trial: FrozenTrial) -> dict[int, list[float]]:
    """The value of each objective by evaluation."""
    if trial.intermediate_values:
        return {evaluation: [value] for evaluation, value in trial.intermediate_values.items()}
    attributes = trial.user_attrs.items()
    return {int(key.removeprefix(REACHED)): values for key, values in attributes if key.startswith(REACHED)}


def report(trial: Trial, evaluation: int, values: Sequence[float]) -> None:
    if len(values) == 1:
        trial.report(values[0], evaluation)
    else:
        trial.set_user_attr(f"{REACHED}{evaluation}", list(values))


def is_to_stop(settings: Mapping[str, Any], trial: Trial, evaluation: int) -> bool:
    """Whether a trial is to stop after its last evaluation, by the settings of its search."""
    several = len(settings["objectives"]) > 1
    return _is_behind(settings, trial, evaluation) if several else trial.should_prune()


def _is_behind(settings: Mapping[str, Any], trial: Trial, evaluation: int) -> bool:
    """Whether too many of the other trials were on better fronts at the last evaluation of a trial.

    `asha`: at evaluations `min_evaluations` × `reduction_factor`^k, if not fewer than one of `reduction_factor` of the
    trials that came so far are. `median`: if half of those trained in full are, once there are `startup_trials`.
    """
    key = f"{REACHED}{evaluation}"
    signs = [1.0 if it == StudyDirection.MAXIMIZE else -1.0 for it in trial.study.directions]
    points = {
        other.number: [sign * value for sign, value in zip(signs, other.user_attrs[key], strict=True)]
        for other in trial.study.get_trials(deepcopy=False)
        if key in other.user_attrs
        and (settings["pruner"] == "asha" or other.state == TrialState.COMPLETE or other.number == trial.number)
    }
    own = points.pop(trial.number)
    if not points:
        return False
    above = better(list(points.values()), own)
    if settings["pruner"] == "median":
        enough = len(points) >= settings["startup_trials"] and evaluation >= settings["min_evaluations"]
        return enough and above >= HALF * len(points)
    factor = settings["reduction_factor"]
    return _is_rung(evaluation, settings["min_evaluations"], factor) and above >= max(1, (len(points) + 1) // factor)


def _is_rung(evaluation: int, first: int, factor: int) -> bool:
    rung = first
    while rung < evaluation:
        rung *= factor
    return rung == evaluation
