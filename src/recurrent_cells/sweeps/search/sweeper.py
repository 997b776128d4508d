"""Hydra's sweeper plugin for searches: light until every end of every range has passed."""

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from recurrent_cells.errors import UserError
from recurrent_cells.imports import uncollected
from recurrent_cells.sweeps.grid import check_examples
from recurrent_cells.sweeps.search.settings import VALIDATION, SearchSettings, check_objectives, checked
from recurrent_cells.sweeps.search.space import read_space
from recurrent_cells.sweeps.sweeper import TrialSweeper
from recurrent_cells.tracking.store import tables_made_beside

if TYPE_CHECKING:
    from recurrent_cells.sweeps.sweep import Swept


class OptunaSweeper(TrialSweeper):
    """Trials that Optuna proposes from the ranges on the command line and in `hydra.sweeper.params`."""

    def __init__(self, params: Mapping[str, str] | None = None, **settings: Any) -> None:
        super().__init__(params)
        objectives = settings.pop("objectives")
        self.search = SearchSettings(**settings)
        self.has_objectives = objectives is not None
        if self.has_objectives:
            self.search = replace(self.search, objectives=tuple(objectives))

    def sweep(self, arguments: list[str]) -> "Swept | None":
        """Run the search; returns and raises as `run_search` does."""
        checked(self.search)
        if self.config.sweep.until == "decided":
            raise UserError("sweep.until=decided: a search proposes other trials; use hydra/sweeper=grid")
        if self.config.sweep.phases:
            raise UserError("sweep.phases: a search has no phases; use hydra/sweeper=grid, or leave them out")
        space = read_space(self.loader, self.config, self.params, arguments)
        corners = space.corners()
        check_examples(corners)
        if self.search.sampler == "grid":
            space.grid(self.search.seed)

        with tables_made_beside():
            with uncollected():  # here: every corner has passed
                from recurrent_cells.data.splits import load_splits
                from recurrent_cells.sweeps.search.search import run_search
                from recurrent_cells.trial.spec import trial_task

            config = corners[0].config
            metric = trial_task(config, load_splits(config.data)).metric
            if not self.has_objectives:
                self.search = replace(self.search, objectives=(f"{VALIDATION}{metric}",))
            check_objectives(self.search, metric)
            return run_search(space, corners, self.search, self.runner(arguments))
