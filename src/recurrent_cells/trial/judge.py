"""Whether a trial of a search is to stop: what it has reached against the others, in Optuna's storage."""

import logging
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from recurrent_cells.config.schema import SweepConfig
from recurrent_cells.tracking.patience import reason
from recurrent_cells.tracking.store import Store

if TYPE_CHECKING:
    from optuna.pruners import BasePruner
    from optuna.trial import Trial

# Attribute of a study in Optuna: what its pruner is built from, wherever a trial runs.
PRUNER = "pruner"
# Attribute of a trial in Optuna: the evaluation after which the judge stopped the trial.
PRUNED_AT = "pruned_at"

log = logging.getLogger(__name__)


class Judge:
    """Takes what one trial reaches. A storage that fails costs the trial no more than being judged."""

    def __init__(self, store: Store, study: str, number: int) -> None:
        self._store, self._study, self._number = store, study, number
        self._failing = False

    @cached_property
    def _trial(self) -> "Trial":
        import optuna

        from recurrent_cells.trial.study_storage import connect

        study = optuna.load_study(study_name=self._study, storage=connect(self._store.folder))
        study.pruner = build_pruner(study.user_attrs[PRUNER])
        study.sampler = optuna.samplers.RandomSampler()  # has nothing to do
        return optuna.trial.Trial(study, study.get_trials(deepcopy=False)[self._number]._trial_id)

    def __call__(self, evaluation: int, values: Mapping[str, float]) -> bool:
        """Whether the trial, with these values by objective at this evaluation (1 is the first), is to stop.

        The answer for an evaluation stays what it was when a resumed trial asks again.
        """
        from recurrent_cells.trial.objectives import is_to_stop, reached, report

        try:
            settings = self._trial.study.user_attrs[PRUNER]
            known = self._trial.study.get_trials(deepcopy=False)[self._number]
            if evaluation in reached(known):
                return bool(known.user_attrs.get(PRUNED_AT) == evaluation)
            report(self._trial, evaluation, [values[objective] for objective in settings["objectives"]])
            if not is_to_stop(settings, self._trial, evaluation):
                return False
            self._trial.set_user_attr(PRUNED_AT, evaluation)
            return True
        except Exception as error:  # whatever SQLite or the disk makes of it
            self._complain(error)
            return False

    def has_stopped(self, evaluation: int) -> bool:
        """Whether the trial was stopped after this evaluation."""
        try:
            return bool(self._trial.user_attrs.get(PRUNED_AT) == evaluation)
        except Exception as error:
            self._complain(error)
            return False

    def _complain(self, error: Exception) -> None:
        if not self._failing:
            log.warning("the search cannot be asked whether to stop (%s): training goes on", reason(error))
        self._failing = True


def judge_of(sweep: SweepConfig, store: Store) -> Judge | None:
    """The judge of a trial; None for a trial that is not of a search that prunes."""
    if sweep.study is None or sweep.number is None:
        return None
    return Judge(store, sweep.study, sweep.number)


def build_pruner(settings: Mapping[str, Any]) -> "BasePruner":
    """The pruner of a study, from the study's attribute `pruner`."""
    from optuna.pruners import HyperbandPruner, MedianPruner, SuccessiveHalvingPruner

    first, factor = settings["min_evaluations"], settings["reduction_factor"]
    if settings["pruner"] == "median":
        return MedianPruner(n_startup_trials=settings["startup_trials"], n_warmup_steps=first)
    if settings["pruner"] == "asha":
        return SuccessiveHalvingPruner(min_resource=first, reduction_factor=factor)
    return HyperbandPruner(min_resource=first, max_resource=settings["evaluations"], reduction_factor=factor)
