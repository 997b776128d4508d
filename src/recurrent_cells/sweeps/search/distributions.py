"""Ranges as Optuna knows them."""

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import Trial

from recurrent_cells.sweeps.search.ranges import Choices, Range, Value


def distribution(range_: Range) -> BaseDistribution:
    """What a range's values are drawn from."""
    if isinstance(range_, Choices):
        return CategoricalDistribution(range_.values)
    if range_.integer:
        return IntDistribution(int(range_.low), int(range_.high), range_.log, int(range_.step or 1))
    return FloatDistribution(range_.low, range_.high, range_.log, range_.step)


def suggest(trial: Trial, key: str, range_: Range) -> Value:
    """The value of a key in a trial, drawn if it has none yet."""
    if isinstance(range_, Choices):
        return str(trial.suggest_categorical(key, range_.values))
    if range_.integer:
        return trial.suggest_int(key, int(range_.low), int(range_.high), step=int(range_.step or 1), log=range_.log)
    return trial.suggest_float(key, range_.low, range_.high, step=range_.step, log=range_.log)
