"""Ranges as Optuna knows them."""

from collections.abc import Mapping, Sequence
from typing import Any

from optuna import Study
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial, Trial, TrialState

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


class RoundingSampler(BaseSampler):
    """Rounds what another sampler draws to what trials use: a lost study is made again from the plan, to the digit."""

    def __init__(self, sampler: BaseSampler, ranges: Mapping[str, Range]) -> None:
        self._sampler, self._ranges = sampler, ranges

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return self._sampler.infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        drawn = self._sampler.sample_relative(study, trial, search_space)
        return {key: self._used(key, value) for key, value in drawn.items()}

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        return self._used(param_name, self._sampler.sample_independent(study, trial, param_name, param_distribution))

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        self._sampler.before_trial(study, trial)

    def after_trial(self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None) -> None:
        self._sampler.after_trial(study, trial, state, values)

    def _used(self, key: str, value: Value) -> Value:
        return self._ranges[key].value(self._ranges[key].text(value))
