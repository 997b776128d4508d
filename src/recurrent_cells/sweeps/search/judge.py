"""Where a trial of a search hears whether to stop: its own curve against those of the others, in Optuna's storage."""

import logging
from functools import cached_property
from typing import TYPE_CHECKING

from recurrent_cells.config.schema import SweepConfig
from recurrent_cells.tracking.patience import reason
from recurrent_cells.tracking.store import Store

if TYPE_CHECKING:
    from optuna.trial import Trial

# Attribute of a trial in Optuna: the evaluation after which it was told to stop.
PRUNED_AT = "pruned_at"

log = logging.getLogger(__name__)


class Judge:
    """Takes the validation curve of one trial. A storage that fails costs the trial no more than being judged."""

    def __init__(self, store: Store, study: str, number: int) -> None:
        self._store, self._study, self._number = store, study, number
        self._failing = False

    @cached_property
    def _trial(self) -> "Trial":
        import optuna

        from recurrent_cells.sweeps.search.storage import connect
        from recurrent_cells.sweeps.search.study import PRUNER, build_pruner

        study = optuna.load_study(study_name=self._study, storage=connect(self._store.folder))
        study.pruner = build_pruner(study.user_attrs[PRUNER])
        study.sampler = optuna.samplers.RandomSampler()  # it has nothing to do
        return optuna.trial.Trial(study, study.get_trials(deepcopy=False)[self._number]._trial_id)

    def __call__(self, evaluation: int, value: float) -> bool:
        """Whether a trial with this value at this evaluation (1 is the first) is to stop.

        Asked again about an evaluation, by a trial that was killed, it answers as before.
        """
        try:
            known = self._trial.study.get_trials(deepcopy=False)[self._number]
            if evaluation in known.intermediate_values:
                return bool(known.user_attrs.get(PRUNED_AT) == evaluation)
            self._trial.report(value, evaluation)
            if not self._trial.should_prune():
                return False
            self._trial.set_user_attr(PRUNED_AT, evaluation)
            return True
        except Exception as error:  # whatever SQLite or the disk makes of it
            self._complain(error)
            return False

    def has_stopped(self, evaluation: int) -> bool:
        """Whether it was this evaluation after which the trial was told to stop."""
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
    """The judge of a trial, None if it is not of a search that prunes."""
    if sweep.study is None or sweep.number is None:
        return None
    return Judge(store, sweep.study, sweep.number)
