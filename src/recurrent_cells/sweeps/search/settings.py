"""The settings of a search: `hydra.sweeper.*` of `hydra/sweeper=optuna`."""

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from importlib.util import find_spec
from typing import Any, Literal

from recurrent_cells.config.rules import Rule, at_least, between, one_of, or_null
from recurrent_cells.config.schema import A_SEED, as_typed
from recurrent_cells.errors import UserError
from recurrent_cells.sweeps.grid import MOST_TRIALS, raise_together
from recurrent_cells.tables import METRICS

SAMPLERS = ("tpe", "random", "cmaes", "grid")
PRUNERS = ("none", "median", "asha", "hyperband")
# What a search may look at beside the validation value of the task's metric. Test values are not among it.
COSTS = ("n_params", "seconds")
VALIDATION = "val/"
MOST_SEEDS = 100


@dataclass(frozen=True)
class SearchSettings:
    """The settings of a search.

    Args:
        n_trials: how many trials the search has when it is done, each of so many seeds; more than before adds some.
        sampler: what proposes trials; cmaes needs the extra cmaes.
        pruner: what ends poor trials early; with several objectives by the front on which a trial stands so far, see
            `trial/objectives.py`.
        objectives: `val/METRIC`, with the metric of the trials' task, and costs.
        seed: draws what the search proposes.
        startup_trials: drawn at random before TPE learns; trained in full before the median pruner judges, and before
            a poor trial is given up after its first seed.
        min_evaluations: no trial is pruned before so many evaluations; None: 1, by several objectives a ninth of
            them with TPE and a seventh without.
        reduction_factor: of asha and hyperband: one of so many trials goes on at each rung; None: 3, by several
            objectives 2.
        seeds: a proposal is judged by the mean over so many, beginning with `seed`; a poor one by its first alone.
    """

    n_trials: int = 20
    sampler: str = "tpe"
    pruner: str = "none"
    objectives: tuple[str, ...] = ("val/acc",)
    seed: int = 0
    startup_trials: int = 10
    min_evaluations: int | None = None
    reduction_factor: int | None = None
    seeds: int = 1

    @property
    def prunes(self) -> bool:
        return self.pruner != "none"

    def settled(self, evaluations: int) -> "SearchSettings":
        """The settings with what None stands for where trials have so many evaluations.

        By several objectives a trial that is pruned too early is lost to the front, not only to the first place. TPE
        proposes what is near the front, so that fewer trials fall behind: they are judged earlier.
        """
        first, factor = 1, 3
        if self.prunes and len(self.objectives) > 1:
            first, factor = max(1, round(evaluations / (9 if self.sampler == "tpe" else 7))), 2
        return replace(
            self,
            min_evaluations=self.min_evaluations or first,
            reduction_factor=self.reduction_factor or factor,
        )


RULES = {
    "n_trials": between(1, MOST_TRIALS),
    "sampler": one_of(*SAMPLERS),
    "pruner": one_of(*PRUNERS),
    "objectives": Rule(
        lambda names: 0 < len(names) == len(set(names)) and all(it in COSTS or _metric(it) in METRICS for it in names),
        f"a list of val/METRIC, {', '.join(COSTS)}, each at most once",
    ),
    "seed": A_SEED,
    "startup_trials": at_least(1),
    "min_evaluations": or_null(at_least(1)),
    "reduction_factor": or_null(at_least(2)),
    "seeds": between(1, MOST_SEEDS),
}


def checked(settings: SearchSettings) -> SearchSettings:
    """The settings, if they will do.

    Raises:
        UserError: with all faults.
    """
    raise_together(_faults(settings))
    return settings


def check_objectives(settings: SearchSettings, metric: str) -> None:
    """Raises UserError if a search looks at another metric than that of the trials' task."""
    own = f"{VALIDATION}{metric}"
    for objective in settings.objectives:
        if objective not in (own, *COSTS):
            raise UserError(f"hydra.sweeper.objectives: {objective} is no value of these trials; allowed is {own}")


def direction(objective: str) -> Literal["maximize", "minimize"]:
    """Which way an objective is better."""
    metric = _metric(objective)
    return "maximize" if metric and METRICS[metric].higher_is_better else "minimize"


def _metric(objective: str) -> str:
    """The metric whose validation value is an objective; empty for a cost."""
    return objective.removeprefix(VALIDATION) if objective.startswith(VALIDATION) else ""


def _faults(settings: SearchSettings) -> Iterator[str]:
    for item in fields(settings):
        value: Any = getattr(settings, item.name)
        if not RULES[item.name].allows(value):
            given = as_typed(list(value) if isinstance(value, tuple) else value)
            yield f"hydra.sweeper.{item.name}={given}: allowed is {RULES[item.name].words}"
    if settings.prunes and all(objective in COSTS for objective in settings.objectives):
        yield (
            f"hydra.sweeper.pruner={settings.pruner}: a trial is pruned by its validation curve too; "
            "give val/METRIC among hydra.sweeper.objectives, or hydra.sweeper.pruner=none"
        )
    if settings.pruner == "hyperband" and len(settings.objectives) > 1:
        yield (
            "hydra.sweeper.pruner=hyperband: has one objective; give hydra.sweeper.objectives=[val/acc], or "
            "pruner=asha or median"
        )
    if settings.sampler == "cmaes" and len(settings.objectives) > 1:
        yield "hydra.sweeper.sampler=cmaes: has one objective; give hydra.sweeper.objectives=[val/acc] or sampler=tpe"
    if settings.sampler == "cmaes" and find_spec("cmaes") is None:
        yield ("hydra.sweeper.sampler=cmaes: needs the package cmaes, which the extra cmaes installs; or sampler=tpe")
